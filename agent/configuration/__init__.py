"""The configuration: what can be set, how files become settings, and everything that is wrong with them at once."""
