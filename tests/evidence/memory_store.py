"""A store in memory with the reading side that packs are written from; it signs with the real code."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from evidence import dsse, note, sshsig, statement, strict_base64, tree
from evidence.keys import PrivateKey, PublicKey
from evidence.note import Checkpoint, SignatureLine
from evidence.pack_source import Protection
from evidence.receipts import Cosigned
from evidence.statement import Clock, Collected, Context, Observation
from tests.evidence.known import AGENT
from tests.evidence.statements import clock, observation


@dataclass(frozen=True)
class Entry:
    """One entry; damage has taken it if there is no envelope."""

    sequence: int
    envelope: bytes | None
    payload: bytes | None


@dataclass
class Log:
    """One log, open or closed."""

    key: PrivateKey
    epoch: int
    entries: list[Entry] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    cosignatures: list[SignatureLine] = field(default_factory=list)
    receipt: Cosigned | None = None

    @property
    def id(self) -> str:
        return f"{self.key.public.id16}-{self.epoch}"

    @property
    def origin(self) -> str:
        return f"evidenced/{self.key.public.id16}/{self.epoch}"

    @property
    def text(self) -> str:
        return Checkpoint(self.origin, len(self.leaves), tree.root(self.leaves)).text()


class MemoryStore:
    """Appends as the store does, without any of its durability."""

    def __init__(self, key: PrivateKey = AGENT) -> None:
        self._logs = [Log(key, 1)]
        self.blobs: dict[str, bytes] = {}
        self.rows: set[str] = set()
        """The digests of rows and gaps: what a prune may take."""
        self.event("log-opened", {"previous": None, "why": "first"}, {}, "2025-12-01T00:00:00.000Z")

    @property
    def last(self) -> Log:
        return self._logs[-1]

    def keep(self, *blobs: bytes) -> None:
        for each in blobs:
            self.blobs[statement.digest(each)] = zlib.compress(each, 6)

    def context(self, wall: str, seen: Observation | None) -> Context:
        when: Clock = clock(wall, boottime_ms=None)
        return Context(
            origin=self.last.origin,
            sequence=len(self.last.leaves),
            clock=when,
            observation=seen or observation(),
        )

    def snapshot(self, collected: Sequence[Collected], wall: str, seen: Observation | None = None) -> None:
        for each in collected:
            self.keep(*each.blobs().values(), *([each.header] if each.header is not None else []))
            self.rows |= {statement.digest(blob) for blob in each.blobs().values()}
        self.append(statement.snapshot(collected, self.context(wall, seen)))

    def event(self, kind: str, fields: dict[str, Any], details: dict[str, Any], wall: str) -> None:
        blob = statement.event_details(details)
        self.keep(blob)
        self.append(statement.event(kind, fields, blob, self.context(wall, None)))

    def append(self, payload: bytes, *also: PrivateKey) -> None:
        log = self.last
        envelope = dsse.sign(payload, [log.key, *also]).encode()
        log.entries.append(Entry(len(log.entries), envelope, payload))
        log.leaves.append(tree.leaf_hash(payload))

    def rotate(self, key: PrivateKey, wall: str) -> None:
        """Close the log with a statement of both keys and open the next one."""
        details = statement.event_details({})
        self.keep(details)
        fields = statement.key_rotated(key.public, len({log.key.public.id16 for log in self._logs}) + 1)
        self.append(statement.event("key-rotated", fields, details, self.context(wall, None)), key)
        self._open(Log(key, 1), "rotated", wall)

    def new_epoch(self, wall: str, why: str = "restored") -> None:
        """Open the next log of the same key."""
        self._open(Log(self.last.key, self.last.epoch + 1), why, wall)

    def _open(self, log: Log, why: str, wall: str) -> None:
        """Go on with a log whose first entry names the one before."""
        closed = self.last
        root = strict_base64.encode(tree.root(closed.leaves))
        self._logs.append(log)
        previous = {"origin": closed.origin, "root": root, "size": len(closed.leaves)}
        self.event("log-opened", {"previous": previous, "why": why}, {}, wall)

    def prune(self, digests: Sequence[str], wall: str) -> None:
        for each in digests:
            del self.blobs[each]
        fields = {"before": wall[:19] + "Z", "blobs": len(digests)}
        self.event("pruned", fields, {"digests": sorted(digests)}, wall)

    def lose(self, sequence: int) -> None:
        """Take an entry away as damage does; its leaf stays."""
        self.last.entries[sequence] = Entry(sequence, None, None)

    # -- what a pack is written from

    def _log(self, log_id: str) -> Log:
        return next(each for each in self._logs if each.id == log_id)

    def logs(self) -> Sequence[Log]:
        return self._logs

    def public_key(self, log_id: str) -> PublicKey:
        return self._log(log_id).key.public

    def protection(self, log_id: str) -> Protection:
        return "file" if self._log(log_id).epoch else "memory"

    def checkpoint(self, log_id: str) -> bytes:
        log = self._log(log_id)
        signed = note.sign(log.text, log.origin, log.key)
        for each in log.cosignatures:
            signed = signed.with_line(each)
        return signed.encode()

    def sshsig(self, log_id: str) -> str:
        log = self._log(log_id)
        return sshsig.sign(log.text.encode(), log.key)

    def receipt(self, log_id: str) -> Cosigned | None:
        return self._log(log_id).receipt

    def leaves(self, log_id: str) -> bytes:
        return b"".join(self._log(log_id).leaves)

    def entries(self, log_id: str, start: int, stop: int) -> Iterator[Entry]:
        yield from self._log(log_id).entries[start:stop]

    def stored_blob(self, digest: str) -> bytes | None:
        return self.blobs.get(digest)
