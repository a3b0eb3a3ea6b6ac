"""What one sweep of the file system finds: privileged, writable, capable and ownerless files."""
