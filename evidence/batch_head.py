"""The head of a batch as it is checked: its key, its checkpoint, and the tree that both are about."""

from __future__ import annotations

from typing import Literal

import msgspec

from evidence import note, sshsig
from evidence.batch_form import LogPart, Place
from evidence.batch_members import Members
from evidence.errors import EvidenceError, FormatError, ProofError
from evidence.keys import PublicKey
from evidence.note import Checkpoint, Note, Verifier
from evidence.pack_members import protection_member
from evidence.tree import HASH_BYTES, Frontier, split

Protection = Literal["file", "sealed", "memory"]
_PROTECTIONS: tuple[Protection, ...] = ("file", "sealed", "memory")


class ForkError(ProofError):
    """The log was split: its key signed `other`, and `known` is no part of it; there, `root` is of the same size."""

    def __init__(self, known: Checkpoint, other: Note, checkpoint: Checkpoint, root: bytes) -> None:
        where = f"log {checkpoint.origin}"
        super().__init__(where, f"the tree known at size {known.size} within size {checkpoint.size}", "another tree")
        self.known = known
        self.other = other
        self.checkpoint = checkpoint
        self.root = root


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


class SignedTree(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint, and the tree in front of the batch and behind it."""

    checkpoint: Checkpoint
    note: Note
    armoured: str
    before: Frontier
    leaves: bytes
    behind: Frontier


def read_key(members: Members, log: LogPart) -> PublicKey:
    """Return the key, in all its forms the one that log id and manifest name. Raises: FormatError."""
    where, data = members.whole()
    try:
        key = PublicKey.from_pem(_ascii(data, where))
    except EvidenceError as error:
        raise FormatError(where, error.expected, error.found) from None
    if key.pem().encode() != data:
        raise FormatError(where, "one PEM block and nothing else", "another spelling")
    if not log.id.startswith(f"{key.id16}-") or log.keyid != key.fingerprint:
        raise FormatError(where, f"the key of log {log.id}", f"another, {key.fingerprint}")
    for expected in (key.openssh(log.origin), f"{key.vkey(log.origin)}\n"):
        where, data = members.whole()
        if data != expected.encode():
            raise FormatError(where, "the same key and nothing else", "another")
    return key


def read_protection(members: Members) -> Protection:
    """Return how the private key is kept, as the host says. Raises: FormatError."""
    where, data = members.whole()
    for each in _PROTECTIONS:
        if data == protection_member(each):
            return each
    raise FormatError(where, f"one of {', '.join(_PROTECTIONS)}", "something else")


def read_tree(members: Members, log: LogPart, key: PublicKey, limit: int) -> SignedTree:
    """Return the signed tree; `limit` is for leaves, in bytes. Raises: EvidenceError."""
    signed, checkpoint = _checkpoint(members, log, key)
    armoured = _other_forms(members, signed, key)
    _, full = members.whole()
    before = Frontier.of(log.first, split(full))
    where, leaves = members.whole(limit)
    if len(leaves) != log.count * HASH_BYTES:
        raise FormatError(where, f"{log.count} leaf hashes", "more or fewer")
    behind = _grown(before, leaves)
    if behind.root() != checkpoint.root:
        raise ProofError(where, "leaves that give the signed root behind the frontier", "others")
    return SignedTree(
        checkpoint=checkpoint, note=signed, armoured=armoured, before=before, leaves=leaves, behind=behind
    )


def _checkpoint(members: Members, log: LogPart, key: PublicKey) -> tuple[Note, Checkpoint]:
    where, data = members.whole()
    signed = note.parse(data, where)
    own = Verifier(log.origin, key)
    note.verify(signed, [own], where)
    if [(each.name, each.key_id) == (own.name, own.key_id) for each in signed.lines].index(True):
        raise FormatError(where, "the log's own line first", "another")
    if [each.name for each in signed.lines].count(own.name) > 1:
        raise FormatError(where, "the log's own line once", "another of its name")
    checkpoint = Checkpoint.parse(signed.text, where)
    if (checkpoint.origin, checkpoint.size) != (log.origin, log.size):
        raise FormatError(where, f"{log.origin} of size {log.size}", "another log or size")
    return signed, checkpoint


def _other_forms(members: Members, signed: Note, key: PublicKey) -> str:
    """Return the SSHSIG; the text, the raw signature and it must be of the same checkpoint. Raises: EvidenceError."""
    for expected in (signed.text.encode(), signed.lines[0].signature):
        where, data = members.whole()
        if data != expected:
            raise FormatError(where, "what stands in the checkpoint", "something else")
    where, data = members.whole()
    armoured = _ascii(data, where)
    sshsig.verify(armoured, signed.text.encode(), key)
    return armoured


def compare(known: Frontier, place: Place, tree: SignedTree) -> None:
    """Check that a batch goes on from a tree that is known. Raises: ElsewhereError, ForkError."""
    if not place.first <= known.size <= place.size:
        raise ElsewhereError(place, known.size)
    there = _grown(tree.before, tree.leaves[: (known.size - place.first) * HASH_BYTES])
    if there.full != known.full:
        expected = Checkpoint(tree.checkpoint.origin, known.size, known.root())
        raise ForkError(expected, tree.note, tree.checkpoint, there.root())


def _grown(tree: Frontier, leaves: bytes) -> Frontier:
    result = tree.copy()
    for at in range(0, len(leaves), HASH_BYTES):
        result.append(leaves[at : at + HASH_BYTES])
    return result


def _ascii(data: bytes, where: str) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise FormatError(where, "ASCII", "other bytes") from None
