"""How evidence is appended: through the signer where there is one, and by the command itself where there is none."""
