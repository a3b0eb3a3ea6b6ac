"""What is read from a host: one file per subject, and the contract they share. This room imports no other."""
