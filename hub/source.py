"""One host's logs as packs are written from them: the reading side of the hub's store (`evidence.pack_source`).

All of it is read as it stood at one moment, so that batches that come while a pack is written do no harm.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evidence.entry import payload_of
from evidence.errors import DamageError
from evidence.keys import PublicKey
from evidence.pack_source import Protection
from evidence.receipts import Cosigned
from evidence.tree import HASH_BYTES
from hub.blob_files import BlobFiles
from hub.database import Database
from hub.registry import origin_of

_LATE = "~"
"""Sorts behind every time."""
_MEND = "restore the hub from a backup; agents send again what it lacks"


@dataclass(frozen=True)
class HostLog:
    """One log of a host, as it stood when the pack was begun."""

    id: str
    number: int
    key: PublicKey
    size: int
    note: bytes
    sshsig: str
    protection: Protection
    previous: str | None
    first_wall: str | None
    last_wall: str | None

    @property
    def origin(self) -> str:
        """Return the origin in its checkpoints."""
        return origin_of(self.id)


@dataclass(frozen=True)
class HubEntry:
    """One entry; there is no envelope if damage took it on the host."""

    sequence: int
    envelope: bytes | None
    payload: bytes | None


class HostSource:
    """What a pack of one host is written from."""

    def __init__(self, database: Database, blobs: BlobFiles, host: int) -> None:
        self._database = database
        self._blobs = blobs
        self._logs = in_order([_log(row) for row in _rows(database, host)])

    def logs(self) -> Sequence[HostLog]:
        """Return the logs that have entries, oldest first."""
        return self._logs

    def public_key(self, log_id: str) -> PublicKey:
        """Return the key that signs a log."""
        return self._of(log_id).key

    def protection(self, log_id: str) -> Protection:
        """Return how the private key was kept, as the host said with its last batch."""
        return self._of(log_id).protection

    def checkpoint(self, log_id: str) -> bytes:
        """Return the newest acknowledgement: the log's line and the hub's."""
        return self._of(log_id).note

    def sshsig(self, log_id: str) -> str:
        """Return the SSHSIG over its text."""
        return self._of(log_id).sshsig

    def receipt(self, log_id: str) -> Cosigned | None:  # noqa: ARG002  the checkpoint is cosigned already
        """Return None: the checkpoint itself carries the hub's line."""
        return None

    def leaves(self, log_id: str) -> bytes:
        """Return all leaf hashes. Raises: DamageError."""
        log = self._of(log_id)
        rows = self._database.all(
            "SELECT leaves FROM pieces WHERE log = ? AND first < ? ORDER BY first", log.number, log.size
        )
        data = b"".join(row["leaves"] for row in rows)[: log.size * HASH_BYTES]
        if len(data) != log.size * HASH_BYTES:
            raise DamageError(f"log {log_id}", f"{log.size} leaves", "fewer", _MEND)
        return data

    def entries(self, log_id: str, start: int, stop: int) -> Iterator[HubEntry]:
        """Yield the entries of a range in order. Raises: DamageError."""
        rows = self._database.reading.execute(
            "SELECT first, count, envelopes FROM pieces "
            "WHERE log = ? AND first < ? AND first + count > ? ORDER BY first",
            (self._of(log_id).number, stop, start),
        )
        for first, count, stored in rows:
            for sequence, line in enumerate(_lines(log_id, stored, count), first):
                if start <= sequence < stop:
                    yield HubEntry(sequence, line or None, payload_of(line) if line else None)

    def stored_blob(self, digest: str) -> bytes | None:
        """Return a blob's zlib data as it came; None if it is not here."""
        return self._blobs.stored(digest)

    def _of(self, log_id: str) -> HostLog:
        return next(each for each in self._logs if each.id == log_id)


def _lines(log_id: str, stored: bytes, count: int) -> list[bytes]:
    try:
        lines = zlib.decompress(stored).split(b"\n")
    except zlib.error:
        lines = []
    if len(lines) != count + 1:
        raise DamageError(f"log {log_id}", f"{count} entries in their place", "damage", _MEND)
    return lines[:-1]


def _rows(database: Database, host: int) -> list[sqlite3.Row]:
    return database.all(
        "SELECT logs.*, keys.raw FROM logs JOIN keys ON keys.id16 = logs.key WHERE logs.host = ? AND note IS NOT NULL",
        host,
    )


def _log(row: sqlite3.Row) -> HostLog:
    names = ("id", "number", "size", "note", "sshsig", "protection", "previous", "first_wall", "last_wall")
    return HostLog(key=PublicKey(row["raw"]), **{name: row[name] for name in names})


def in_order(logs: list[HostLog]) -> list[HostLog]:
    """Return logs as they followed each other: by the word of their first entries, chains by their first clock."""
    by_origin = {each.origin: each for each in logs}
    following: dict[str | None, list[HostLog]] = {}
    for each in sorted(logs, key=lambda log: (log.first_wall or _LATE, log.number)):
        known = each.previous if each.previous in by_origin else None
        following.setdefault(known, []).append(each)
    ordered: list[HostLog] = []
    waiting = list(reversed(following.get(None, [])))
    while waiting:
        log = waiting.pop()
        if log not in ordered:
            ordered.append(log)
            waiting += reversed(following.get(log.origin, []))
    return [*ordered, *(each for each in logs if each not in ordered)]  # a host may sign that two follow each other
