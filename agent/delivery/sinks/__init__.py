"""Where batches go: a folder, any HTTP store, a hub."""
