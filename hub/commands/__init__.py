"""The commands of `evidenced-hub`, one a file: declare, run, exit code."""
