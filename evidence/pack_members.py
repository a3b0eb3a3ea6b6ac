"""What packs and batches have in common: the members of a log's key and of its checkpoint."""

from __future__ import annotations

from evidence import restricted_json
from evidence.pack_source import SignedLog
from evidence.pack_spool import Spool

BUNDLE = 256
"""Envelopes in a member."""


def write_keys(spool: Spool, log: SignedLog) -> None:
    """Write the public key in its forms, and how the private one is kept."""
    spool.add(f"keys/{log.id}.pem", log.key.pem().encode())
    spool.add(f"keys/{log.id}.pub", log.key.openssh(log.origin).encode())
    spool.add(f"keys/{log.id}.vkey", f"{log.key.vkey(log.origin)}\n".encode())
    spool.add(f"keys/{log.id}.json", protection_member(log.protection))


def protection_member(protection: str) -> bytes:
    """Return the member that says how the private key is kept."""
    return restricted_json.encode({"protection": protection}) + b"\n"


def write_checkpoint(spool: Spool, log: SignedLog) -> None:
    """Write the signed note, and its parts for programs that are not ours."""
    spool.add(f"{log.id}/checkpoint", log.note.encode())
    spool.add(f"{log.id}/checkpoint.txt", log.note.text.encode())
    spool.add(f"{log.id}/checkpoint.sig", log.signature)
    spool.add(f"{log.id}/checkpoint.sshsig", log.armoured.encode())
