"""One pack of this host without a log or a state folder: what `evidenced.pyz` does."""
