"""Batches that wait: immutable files of the signer, which the uploader only reads."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator

import msgspec

from agent.delivery.errors import BatchError
from evidence.batch_form import Manifest, Place, place_of
from evidence.batch_head import read_key, read_protection, read_tree
from evidence.batch_members import Members
from evidence.batch_tar import TarReader
from evidence.errors import EvidenceError
from evidence.keys import PublicKey
from evidence.note import Checkpoint, Note

_STEP = 1 << 20
_HEAD_LIMIT = 128 << 20
"""Bytes in front of the entries, most of which are leaf hashes."""


class Waiting(msgspec.Struct, frozen=True):
    """One batch by its name; what is in it is not read yet."""

    name: str
    path: str
    place: Place
    since: float
    """When the file was written, POSIX seconds: logs follow each other, but their names do not say how."""
    stamp: str
    """Changes when the signer puts another file in its place."""


class Head(msgspec.Struct, frozen=True):
    """What stands in front of a batch's entries, checked."""

    key: PublicKey
    note: Note
    checkpoint: Checkpoint
    leaves: bytes
    """Leaf hashes of its entries, 32 bytes each."""

    @property
    def origin(self) -> str:
        """Return the origin of its log."""
        return self.checkpoint.origin


class Outgoing(msgspec.Struct, frozen=True):
    """One batch, open to be sent."""

    waiting: Waiting
    descriptor: int
    size: int
    sha256: str
    head: Head

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
        yield Outgoing(batch, descriptor, facts.st_size, digest(descriptor), _head_of(descriptor, batch))
    finally:
        os.close(descriptor)


def digest(descriptor: int) -> str:
    """Return the SHA-256 of a whole file, in hex."""
    found, at = hashlib.sha256(), 0
    while block := os.pread(descriptor, _STEP, at):
        found.update(block)
        at += len(block)
    return found.hexdigest()


def _head_of(descriptor: int, batch: Waiting) -> Head:
    """Return what the head of a batch proves; its entries and blobs are left to whoever receives it."""
    try:
        with open(os.dup(descriptor), "rb", buffering=0) as file:
            tar = TarReader(file, total_bytes=_HEAD_LIMIT)
            manifest = Manifest.parse(tar.first("manifest.json", _HEAD_LIMIT), _HEAD_LIMIT)
            members = Members(tar, manifest)
            key = read_key(members, manifest.log)
            read_protection(members)
            tree = read_tree(members, manifest.log, key, _HEAD_LIMIT)
    except EvidenceError as error:
        raise BatchError(batch.name, error.expected, error.found) from None
    if manifest.place != batch.place:
        raise BatchError(batch.name, "the entries that its name says", "others")
    return Head(key, tree.note, tree.checkpoint, tree.leaves)
