"""The program on the host: commands, processes and where its state lives."""
