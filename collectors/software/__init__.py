"""Installed software, in every package format."""
