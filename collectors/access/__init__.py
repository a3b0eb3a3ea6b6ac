"""Who may enter, and what they may do: accounts, passwords, sudo, SSH."""
