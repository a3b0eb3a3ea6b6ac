"""One file a command: declare its options, run it, return the exit code. Text for people lives here."""
