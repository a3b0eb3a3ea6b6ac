"""Batches that wait: immutable files of the signer, which the uploader only reads."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from agent.delivery.errors import BatchError
from evidence.batch_form import Place, place_of
from evidence.batch_read import CheckedBatch, open_batch
from evidence.errors import EvidenceError
from evidence.order import id_of

_STEP = 1 << 20


@dataclass(frozen=True)
class Waiting:
    """One batch by its name; what is in it is not read yet."""

    name: str
    path: str
    place: Place
    since: float
    """When the file was written, POSIX seconds: logs follow each other, but their names do not say how."""
    stamp: str
    """Changes when the signer puts another file in its place."""


@dataclass(frozen=True)
class Outgoing:
    """One batch, open to be sent."""

    waiting: Waiting
    descriptor: int
    size: int
    sha256: str
    head: CheckedBatch

    @property
    def name(self) -> str:
        """Return its file name."""
        return self.waiting.name

    @property
    def place(self) -> Place:
        """Return which entries it holds."""
        return self.waiting.place

    def blocks(self, start: int = 0, stop: int | None = None, step: int = _STEP) -> Iterator[bytes]:
        """Yield its bytes, or some of them."""
        at, stop = start, self.size if stop is None else stop
        while at < stop:
            block = os.pread(self.descriptor, min(step, stop - at), at)
            if not block:
                raise BatchError(self.name, f"{self.size} bytes", f"{at}")
            at += len(block)
            yield block


def waiting(folder: str) -> list[Waiting]:
    """Return the batches in a folder, log by log, the oldest log and entry first; none if there is no folder."""
    found: list[Waiting] = []
    try:
        with os.scandir(folder) as entries:
            found += [batch for batch in map(waiting_at, sorted(each.path for each in entries)) if batch is not None]
    except FileNotFoundError:
        return []
    begun: dict[str, float] = {}
    for one in found:
        begun[one.place.log_id] = min(one.since, begun.get(one.place.log_id, one.since))
    return sorted(found, key=lambda each: (begun[each.place.log_id], each.place))


def waiting_at(path: str) -> Waiting | None:
    """Return the batch that a path names; None if there is none, or no regular file."""
    name = os.path.basename(path)
    place = place_of(name)
    if place is None:
        return None
    try:
        facts = os.lstat(path)
    except FileNotFoundError:  # the signer may take it away at any time
        return None
    if not stat.S_ISREG(facts.st_mode):
        return None
    stamp = f"{facts.st_ino}-{facts.st_mtime_ns}-{facts.st_size}"
    return Waiting(name, path, place, facts.st_mtime, stamp)


@contextlib.contextmanager
def opened(batch: Waiting) -> Iterator[Outgoing]:
    """Open a batch to be sent. Raises: FileNotFoundError if it is gone; BatchError if it is none."""
    descriptor = os.open(batch.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise BatchError(batch.name, "a regular file", "another kind of file")
        yield Outgoing(batch, descriptor, facts.st_size, digest(descriptor), _checked_head(descriptor, batch))
    finally:
        os.close(descriptor)


def digest(descriptor: int) -> str:
    """Return the SHA-256 of a whole file, in hex."""
    found, at = hashlib.sha256(), 0
    while block := os.pread(descriptor, _STEP, at):
        found.update(block)
        at += len(block)
    return found.hexdigest()


def _checked_head(descriptor: int, batch: Waiting) -> CheckedBatch:
    """Return what the head of a batch proves; its entries and blobs are left to whoever receives it."""
    try:
        with open(os.dup(descriptor), "rb", buffering=0) as file, open_batch(file) as head:
            checked = head.check()
    except EvidenceError as error:
        raise BatchError(batch.name, error.expected, error.found) from None
    if Place(id_of(checked.origin), checked.first, checked.size) != batch.place:
        raise BatchError(batch.name, "the entries that its name says", "others")
    return checked
