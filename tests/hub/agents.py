"""Agents of hubs in tests: real keys, real statements, real batches, in memory."""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evidence import batch, note, sshsig, tree
from evidence.batch import Contents, signed_part
from evidence.batch_form import Place
from evidence.keys import PrivateKey
from evidence.note import Checkpoint
from evidence.predicates import parse
from evidence.tree import Frontier
from hub.enrolment import NAMESPACE, message
from tests.evidence.memory_store import Log, MemoryStore
from tests.evidence.statements import observation, users


@dataclass(frozen=True)
class BatchFile:
    """A batch as an uploader has it."""

    name: str
    """LOGID-FIRST-SIZE."""
    data: bytes
    note: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def headers(self, *, complete: bool, **changes: str) -> dict[str, str]:
        return {
            "Evidenced-Batch": self.name,
            "Evidenced-Digest": self.digest,
            "Evidenced-Checkpoint": base64.b64encode(self.note).decode(),
            "Upload-Length": f"{len(self.data)}",
            "Upload-Complete": "?1" if complete else "?0",
            **changes,
        }


class Agent:
    """One host that appends, enrols and writes batches."""

    def __init__(self, seed: int, name: str = "", folder: Path | None = None) -> None:
        self.name = name or f"host-{seed}.example"
        self.key = PrivateKey(seed.to_bytes(32, "big"))
        self.store = MemoryStore(self.key)
        self._folder = folder
        self._minute = 0

    @property
    def log(self) -> Log:
        return self.store.last

    def wall(self, minutes: int = 1) -> str:
        self._minute += minutes
        return f"2026-01-{1 + self._minute // 1440:02d}T{self._minute // 60 % 24:02d}:{self._minute % 60:02d}:00.000Z"

    def append(self, count: int = 1, *, rows: int | None = None, every: int = 1) -> None:
        """Append snapshots, so many minutes apart; with `rows` each has other rows than the one before."""
        for at in range(count):
            uid = f"{rows * 1000 + at}" if rows is not None else "1"
            data = b'{"name":"daemon","uid":%s}\n{"name":"root","uid":0}\n' % uid.encode()
            self.store.snapshot([users(rows=data)], self.wall(every), observation(name=self.name))

    def new_epoch(self, why: str = "restored") -> None:
        """Open the next log of the same key."""
        self.store.new_epoch(self.wall(), why)

    def checkpoint(self, size: int | None = None, log: Log | None = None) -> bytes:
        """Return the signed note of a size of the log."""
        log = log or self.log
        size = len(log.leaves) if size is None else size
        text = Checkpoint(log.origin, size, tree.root(log.leaves[:size])).text()
        return note.sign(text, log.origin, log.key).encode()

    def batch(
        self,
        folder: Path,
        first: int = 0,
        size: int | None = None,
        *,
        with_blobs: bool = True,
        log: Log | None = None,
    ) -> BatchFile:
        """Write a batch with the product's own code and return it."""
        log = log or self.log
        size = len(log.leaves) if size is None else size
        place = Place(log.id, first, size)
        checkpoint = Checkpoint(log.origin, size, tree.root(log.leaves[:size]))
        signed = note.sign(checkpoint.text(), log.origin, log.key)
        armoured = sshsig.sign(checkpoint.text().encode(), log.key)
        leaves = b"".join(log.leaves[first:size])
        part = signed_part(self.store, place, leaves, checkpoint, signed, armoured)
        blobs = frozenset(self.named(log, first, size) - self.named(log, 0, first)) if with_blobs else frozenset()
        contents = Contents(place, part, Frontier(log.leaves[:first]), blobs)
        info = batch.write(self.store, contents, str(folder), overwrite=True)
        return BatchFile(info.name.removesuffix(".tar.gz"), (folder / info.name).read_bytes(), signed.encode())

    def named(self, log: Log, start: int, stop: int) -> set[str]:
        """Return the blobs that entries name."""
        payloads = (each.payload for each in log.entries[start:stop])
        return {digest for each in payloads if each is not None for digest in parse(each).digests()}

    def blobs(self) -> dict[str, bytes]:
        return {digest: zlib.decompress(data) for digest, data in self.store.blobs.items()}

    def enrolment(self, hub: str, nonce: str, **changes: Any) -> dict[str, Any]:
        """Return the body of an enrolment of the newest key."""
        log = self.log
        return {
            "key": base64.b64encode(log.key.public.spki).decode(),
            "name": self.name,
            "nonce": nonce,
            "origin": log.origin,
            "proof": sshsig.sign(message(hub, nonce, log.origin), log.key, NAMESPACE),
            **changes,
        }
