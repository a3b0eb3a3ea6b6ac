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
from typing import Literal

import msgspec

from evidence import dsse, note, sshsig
from evidence.batch_blobs import BatchBlob, BlobReader
from evidence.batch_entries import BatchEntry, EntryReader
from evidence.batch_form import Manifest, Place
from evidence.batch_tar import Source, TarReader
from evidence.errors import EvidenceError, FormatError, LimitError, ProofError, SignatureError
from evidence.keys import PublicKey
from evidence.note import Checkpoint, Note, Verifier
from evidence.pack_members import BUNDLE, protection_member
from evidence.pack_spool import Member
from evidence.tree import HASH_BYTES, Frontier, split

Protection = Literal["file", "sealed", "memory"]
_PROTECTIONS: tuple[Protection, ...] = ("file", "sealed", "memory")
_CHUNK = 64 * 1024
_SMALL = 64 * 1024
"""As much as one form of a key or checkpoint takes."""


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


class ForkError(ProofError):
    """The log was split: its key signed `other`, and `known` is no part of it."""

    def __init__(self, known: Checkpoint, other: Note, checkpoint: Checkpoint) -> None:
        where = f"log {checkpoint.origin}"
        super().__init__(where, f"the tree known at size {known.size} within size {checkpoint.size}", "another tree")
        self.known = known
        self.other = other
        self.checkpoint = checkpoint


class ElsewhereError(ProofError):
    """The batch neither begins where the known tree ends, nor overlaps it: `size` is where it should begin."""

    def __init__(self, place: Place, size: int) -> None:
        found = f"entries {place.first} to {place.size - 1}"
        super().__init__(f"log {place.log_id}", f"entries that go on at {size}", found)
        self.size = size


class CheckedBatch(msgspec.Struct, frozen=True):
    """What the head of a batch proves."""

    checkpoint: Checkpoint
    note: Note
    """The checkpoint as it was signed."""
    armoured: str
    """The SSHSIG over its text."""
    key: PublicKey
    origin: str
    first: int
    size: int
    leaves: bytes
    """Leaf hashes of the entries from `first` on, 32 bytes each."""
    frontier: Frontier
    """The tree at `size`: what the next batch goes on from."""


class Batch:
    """A batch, read from front to back: `check`, then `entries`, then `blobs`."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self._limits = limits
        self._tar = TarReader(source, total_bytes=limits.total_bytes)
        self._next = 0
        self.manifest = Manifest.parse(self._tar.first("manifest.json", limits.manifest_bytes), limits.manifest_bytes)
        self.place = self.manifest.place
        if self.manifest.log.count > limits.entries:
            raise LimitError("batch", f"at most {limits.entries} entries", f"{self.manifest.log.count}")
        for each in self.manifest.members:
            if each.size > limits.member_bytes:
                raise LimitError(each.name, f"at most {limits.member_bytes} bytes", f"{each.size}")
        self.key = self._key()
        """The key in the batch; that it is the one of this log's owner is for the caller to know."""
        self.protection = self._protection()
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
        signed, armoured, checkpoint = self._checkpoint()
        before, leaves, behind = self._tree(checkpoint)
        if known is not None:
            self._compare(known, before, leaves, signed, checkpoint)
        self._checked = CheckedBatch(
            checkpoint=checkpoint,
            note=signed,
            armoured=armoured,
            key=self.key,
            origin=checkpoint.origin,
            first=self.place.first,
            size=self.place.size,
            leaves=leaves,
            frontier=behind,
        )
        return self._checked

    def entries(self) -> Iterator[BatchEntry]:
        """Yield each entry, checked; of a lost one only its leaf. Raises: EvidenceError."""
        if self._checked is None:
            raise RuntimeError("a batch is checked before its entries are read")
        if self._entries is None:
            self._entries = EntryReader(self._checked.key, self.place, self._checked.leaves, self._limits.names)
            yield from self._entries.read(self._lines())
            self._entries.finish(self.manifest)

    def blobs(self) -> Iterator[BatchBlob]:
        """Yield each blob, checked; then check that nothing follows. Raises: EvidenceError."""
        for _ in self.entries():
            pass
        if self._entries is None or not self._entries.finished:
            raise RuntimeError("the entries of a batch are read to their end before its blobs")
        reader = BlobReader(self._entries.named, self._limits.blob_bytes)
        while self._next < len(self.manifest.members):
            member = self._begin()
            yield from reader.read(member, self._tar.read)
            self._tar.end(member)
        if reader.count != self.manifest.counts.blobs:
            raise FormatError("manifest.json", f"{self.manifest.counts.blobs} blobs", f"{reader.count}")
        self._tar.finish()
        self.finished = True

    def _begin(self) -> Member:
        member = self.manifest.members[self._next]
        self._next += 1
        self._tar.next(member)
        return member

    def _whole(self, limit: int = _SMALL) -> bytes:
        """Return the next member."""
        member = self._begin()
        if member.size > limit:
            raise LimitError(member.name, f"at most {limit} bytes", f"{member.size}")
        data = self._tar.read(member.size)
        self._tar.end(member)
        return data

    def _lines(self) -> Iterator[tuple[str, bytes]]:
        """Yield each envelope, and where it stands."""
        left = self.manifest.counts.entries
        while left > 0:
            member = self._begin()
            count = 0
            for count, line in enumerate(self._lines_of(member), 1):
                yield f"{member.name} line {count}", line
            if count != min(left, BUNDLE):
                raise FormatError(member.name, f"{min(left, BUNDLE)} entries", f"{count}")
            self._tar.end(member)
            left -= count

    def _lines_of(self, member: Member) -> Iterator[bytes]:
        kept = b""
        while chunk := self._tar.read(_CHUNK):
            *lines, kept = (kept + chunk).split(b"\n")
            yield from lines
            if len(kept) > dsse.MAX_ENVELOPE:
                raise LimitError(member.name, f"lines of at most {dsse.MAX_ENVELOPE} bytes", "a longer one")
        if kept:
            raise FormatError(member.name, "a newline at its end", "none")

    def _key(self) -> PublicKey:
        """Return the key, in all its forms the one that log id and manifest name."""
        log = self.manifest.log
        where = self.manifest.members[0].name
        key = _key_in(self._whole(), where)
        if not log.id.startswith(f"{key.id16}-") or log.keyid != key.fingerprint:
            raise FormatError(where, f"the key of log {log.id}", f"another, {key.fingerprint}")
        for expected in (key.openssh(log.origin), f"{key.vkey(log.origin)}\n"):
            if self._whole() != expected.encode():
                raise FormatError(where, "one key in three forms", "another")
        return key

    def _protection(self) -> Protection:
        where, data = self.manifest.members[self._next].name, self._whole()
        for each in _PROTECTIONS:
            if data == protection_member(each):
                return each
        raise FormatError(where, f"one of {', '.join(_PROTECTIONS)}", "something else")

    def _checkpoint(self) -> tuple[Note, str, Checkpoint]:
        """Return the signed note, its SSHSIG and what they say; its other forms are compared."""
        log = self.manifest.log
        where = self.manifest.members[self._next].name
        signed = note.parse(self._whole(), where)
        own = Verifier(log.origin, self.key)
        note.verify(signed, [own], where)
        if [(each.name, each.key_id) == (own.name, own.key_id) for each in signed.lines[:1]] != [True]:
            raise FormatError(where, "the log's own signature first", "another")
        checkpoint = Checkpoint.parse(signed.text, where)
        if (checkpoint.origin, checkpoint.size) != (log.origin, log.size):
            raise FormatError(where, f"{log.origin} of size {log.size}", "another log or size")
        if self._whole() != signed.text.encode() or self._whole() != signed.lines[0].signature:
            raise FormatError(where, "the same text and signature by themselves", "others")
        armoured = _ascii(self._whole(), where)
        sshsig.verify(armoured, signed.text.encode(), self.key)
        return signed, armoured, checkpoint

    def _tree(self, checkpoint: Checkpoint) -> tuple[Frontier, bytes, Frontier]:
        """Return the tree in front of the batch, the leaves in it, and the tree behind it."""
        where = self.manifest.members[self._next].name
        before = Frontier.of(self.place.first, split(self._whole()))
        count = self.place.size - self.place.first
        if self.manifest.members[self._next].size != count * HASH_BYTES:
            raise FormatError(f"{self.place.log_id}/leaves", f"{count} leaf hashes", "more or fewer")
        leaves = self._whole(self._limits.member_bytes)
        behind = _grown(before, leaves)
        if behind.root() != checkpoint.root:
            raise ProofError(where, "frontier and leaves that give the signed root", "others")
        return before, leaves, behind

    def _compare(self, known: Frontier, before: Frontier, leaves: bytes, signed: Note, checkpoint: Checkpoint) -> None:
        """Check that the batch goes on from a tree that is known."""
        if not self.place.first <= known.size <= self.place.size:
            raise ElsewhereError(self.place, known.size)
        there = _grown(before, leaves[: (known.size - self.place.first) * HASH_BYTES])
        if there.full != known.full:
            raise ForkError(Checkpoint(checkpoint.origin, known.size, known.root()), signed, checkpoint)


def _grown(tree: Frontier, leaves: bytes) -> Frontier:
    grown = tree.copy()
    for at in range(0, len(leaves), HASH_BYTES):
        grown.append(leaves[at : at + HASH_BYTES])
    return grown


def _key_in(data: bytes, where: str) -> PublicKey:
    try:
        key = PublicKey.from_pem(_ascii(data, where))
    except EvidenceError as error:
        raise FormatError(where, error.expected, error.found) from None
    if key.pem().encode() != data:
        raise FormatError(where, "one PEM block and nothing else", "another spelling")
    return key


def _ascii(data: bytes, where: str) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise FormatError(where, "ASCII", "other bytes") from None


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
