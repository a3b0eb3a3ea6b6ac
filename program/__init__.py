"""What the agent's program and the hub's are to whoever starts them: options, words, streams, signals, exit codes."""
