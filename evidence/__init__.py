"""How what was read is proved: statements, signatures, the log, packs and the auditor's verify.py."""
