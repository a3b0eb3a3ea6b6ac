"""Forks: two checkpoints signed by one key of which neither tree holds the other. Both are kept, with the proof.

`forks/LOGID-TIME-RANDOM/` holds `known` and `other`, both signed notes, and `proof.json`: where their trees differ.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

import msgspec

from evidence import strict_base64
from evidence.note import Note
from hub.folder import HubFolder
from hub.problem import Problem

_PER_LOG = 100
"""Whoever holds a key can sign forks without end; more of them prove nothing more."""


@dataclass(frozen=True)
class Fork:
    """A contradiction: what was known, what came, and at which size their trees differ."""

    log_id: str
    known: Note
    other: Note
    at: int
    """A size up to which both trees were computed, with different roots."""
    known_root: bytes
    other_root: bytes
    why: str
    """In words, for the answer and the operator."""

    def proof(self) -> dict[str, Any]:
        """Return what `proof.json` holds."""
        return {
            "at": self.at,
            "known_root": strict_base64.encode(self.known_root),
            "log": self.log_id,
            "other_root": strict_base64.encode(self.other_root),
            "why": self.why,
        }


class ForkError(Exception):
    """A batch or checkpoint contradicts what the same key signed before."""

    def __init__(self, fork: Fork) -> None:
        super().__init__(fork.why)
        self.fork = fork


def keep(folder: HubFolder, fork: Fork) -> Problem:
    """Write both checkpoints and the proof down, durably, and return the refusal that shows them."""
    row = folder.database.one("SELECT count(*) AS n FROM forks WHERE log = ?", fork.log_id)
    if row is None or row["n"] < _PER_LOG:
        _write(folder, fork)
    extra = {"known": fork.known.encode().decode(), "other": fork.other.encode().decode()}
    return Problem("fork", fork.why, extra=extra)


def _write(folder: HubFolder, fork: Fork) -> None:
    now = int(time.time())
    name = f"{fork.log_id}-{now}-{secrets.token_hex(4)}"
    kept = folder.forks.folder(name, create=True)
    try:
        kept.replace("known", fork.known.encode())
        kept.replace("other", fork.other.encode())
        kept.replace("proof.json", msgspec.json.encode(fork.proof(), order="sorted") + b"\n")
    finally:
        kept.close()
    with folder.database.transaction() as connection:
        connection.execute("INSERT INTO forks (log, time, folder) VALUES (?, ?, ?)", (fork.log_id, now, name))
