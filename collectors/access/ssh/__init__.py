"""What the two SSH tables share: sshd_config(5) and the authorized_keys format of sshd(8)."""
