"""The only way to the machine: bounded reads inside a root, fixed commands, mounts."""
