"""Read a batch from anyone and believe nothing of it that was not checked (docs/formats.md, section 6).

One pass from front to back, under absolute limits; nothing is extracted. In this order:

1. the container: exactly the members of a batch, each with the size and SHA-256 that the manifest says, nothing else
2. the key: one Ed25519 key in three forms, which the log's id names; the one that the caller knows, if any
3. the checkpoint: a note signed by that key, of this log and size; its other forms say the same
4. frontier and leaves give the signed root, and go on from the tree that the caller knows
5. each entry: signed by the key, well-formed, in its place, and the payload of its leaf
6. each blob: the bytes its name is the hash of, and named by an entry of the batch

Whoever takes a batch in keeps nothing of it before `blobs` has ended: until then the end may still be wrong.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

import msgspec

from evidence.batch_blobs import BatchBlob, BlobReader
from evidence.batch_entries import BatchEntry, EntryReader
from evidence.batch_form import Manifest
from evidence.batch_head import CheckedBatch, ElsewhereError, ForkError, compare, read_key, read_protection, read_tree
from evidence.batch_members import Members
from evidence.batch_tar import Source, TarReader
from evidence.errors import FormatError, LimitError, SignatureError
from evidence.keys import PublicKey
from evidence.tree import Frontier

__all__ = [
    "LIMITS",
    "Batch",
    "BatchBlob",
    "BatchEntry",
    "CheckedBatch",
    "ElsewhereError",
    "ForkError",
    "Limits",
    "open_batch",
]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch may take, whatever it claims; memory stays below 128 MiB."""

    manifest_bytes: int = 2 * 1024 * 1024
    member_bytes: int = 64 * 1024 * 1024
    total_bytes: int = 4 * 1024 * 1024 * 1024
    """Of all members, inflated from gzip."""
    blob_bytes: int = 16 * 1024 * 1024 * 1024
    """Of all blobs, inflated from zlib."""
    entries: int = 500_000
    names: int = 300_000
    """Different blobs that the entries may name."""


LIMITS = Limits()


class Batch:
    """A batch, read from front to back: `check`, then `entries`, then `blobs`."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self._limits = limits
        tar = TarReader(source, total_bytes=limits.total_bytes)
        self.manifest = Manifest.parse(tar.first("manifest.json", limits.manifest_bytes), limits.manifest_bytes)
        self.place = self.manifest.place
        if self.manifest.log.count > limits.entries:
            raise LimitError("batch", f"at most {limits.entries} entries", f"{self.manifest.log.count}")
        for each in self.manifest.members:
            if each.size > limits.member_bytes:
                raise LimitError(each.name, f"at most {limits.member_bytes} bytes", f"{each.size}")
        self._members = Members(tar, self.manifest)
        self.key = read_key(self._members, self.manifest.log)
        """The key in the batch; that it is the one of this log's owner is for the caller to know."""
        self.protection = read_protection(self._members)
        """How the private key is kept, as the host says."""
        self._checked: CheckedBatch | None = None
        self._entries: EntryReader | None = None
        self.finished = False
        """Whether everything was read, and held."""

    def check(self, key: PublicKey | None = None, known: Frontier | None = None) -> CheckedBatch:
        """Return what the head proves; `known` is the tree that the caller has of this log.

        Without a key the one in the batch is taken: the caller compares its fingerprint.
        Raises: SignatureError for another key; ForkError; ElsewhereError; FormatError, ProofError.
        """
        if key is not None and key != self.key:
            raise SignatureError(f"log {self.place.log_id}", f"the key {key.fingerprint}", self.key.fingerprint)
        if self._checked is not None:
            raise RuntimeError("a batch is checked once")
        tree = read_tree(self._members, self.manifest.log, self.key, self._limits.member_bytes)
        if known is not None:
            compare(known, self.place, tree)
        self._checked = CheckedBatch(
            checkpoint=tree.checkpoint,
            note=tree.note,
            armoured=tree.armoured,
            key=self.key,
            origin=tree.checkpoint.origin,
            first=self.place.first,
            size=self.place.size,
            leaves=tree.leaves,
            frontier=tree.behind,
        )
        return self._checked

    def entries(self) -> Iterator[BatchEntry]:
        """Yield each entry, checked; of a lost one only its leaf. Raises: EvidenceError."""
        if self._checked is None:
            raise RuntimeError("a batch is checked before its entries are read")
        if self._entries is None:
            self._entries = EntryReader(self._checked.key, self.place, self._checked.leaves, self._limits.names)
            yield from self._entries.read(self._members.lines())
            self._entries.finish(self.manifest)

    def blobs(self) -> Iterator[BatchBlob]:
        """Yield each blob, checked; then check that nothing follows. Raises: EvidenceError."""
        for _ in self.entries():
            pass
        if self._entries is None or not self._entries.finished:
            raise RuntimeError("the entries of a batch are read to their end before its blobs")
        reader = BlobReader(self._entries.named, self._limits.blob_bytes)
        while self._members.left:
            member = self._members.begin()
            yield from reader.read(member, self._members.read)
            self._members.end(member)
        if reader.count != self.manifest.counts.blobs:
            raise FormatError("manifest.json", f"{self.manifest.counts.blobs} blobs", f"{reader.count}")
        self._members.finish()
        self.finished = True


@contextlib.contextmanager
def open_batch(source: str | Source, limits: Limits = LIMITS) -> Iterator[Batch]:
    """Open a batch by its path, or a stream of its bytes, and read its manifest and key.

    Raises: OSError; FormatError, LimitError if it is no batch.
    """
    if not isinstance(source, str):
        yield Batch(source, limits)
        return
    descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FormatError(source, "a regular file", "another kind of file")
        yield Batch(file, limits)
