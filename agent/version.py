"""The version of the agent, as statements and packages name it."""

VERSION = "0.1.0"
