"""The Merkle tree of RFC 6962, section 2.1, over SHA-256: roots, proofs and their checks.

All of it is arithmetic on hashes; where leaves are kept is the log's business. A *leaf* here is always the
32-byte leaf hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from evidence.errors import FormatError, ProofError

HASH_BYTES = 32
MAX_PROOF = 63
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of an entry; the prefix keeps entries and nodes apart."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that only grows: it keeps the roots of its full subtrees, so that append costs O(log n)."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._full: list[bytes] = []
        self.size = 0
        for leaf in leaves:
            self.append(leaf)

    def append(self, leaf: bytes) -> None:
        """Add one leaf: it joins one full subtree for each low bit of the old size that is set."""
        carry = self.size
        while carry & 1:
            leaf = node_hash(self._full.pop(), leaf)
            carry >>= 1
        self._full.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root hash of all leaves so far."""
        if not self._full:
            return EMPTY_ROOT
        result = self._full[-1]
        for full in reversed(self._full[:-1]):
            result = node_hash(full, result)
        return result

    @property
    def full(self) -> tuple[bytes, ...]:
        """Return the roots of the full subtrees, left to right: one for each bit of the size that is set."""
        return tuple(self._full)

    @classmethod
    def of(cls, size: int, full: Sequence[bytes]) -> Frontier:
        """Return the tree of which only its size and the roots of its full subtrees are known.

        Raises: ProofError unless there are as many as the size asks for.
        """
        if len(full) != size.bit_count() or any(len(each) != HASH_BYTES for each in full):
            raise ProofError("frontier", f"{size.bit_count()} hashes for {size} leaves", f"{len(full)}")
        tree = cls()
        tree._full, tree.size = list(full), size
        return tree

    def copy(self) -> Frontier:
        """Return an independent tree of the same leaves, to see what an append would give."""
        other = Frontier()
        other._full, other.size = list(self._full), self.size
        return other


def split(data: bytes) -> list[bytes]:
    """Return the leaves of a `leaves` member: 32 bytes each, nothing between them."""
    if len(data) % HASH_BYTES:
        raise FormatError("leaves", f"a multiple of {HASH_BYTES} bytes", f"{len(data)}")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def root(leaves: Iterable[bytes]) -> bytes:
    """Return the root hash of the leaves."""
    return Frontier(leaves).root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return PATH(index, leaves) of RFC 6962, 2.1.1: the siblings from the leaf up."""
    if not 0 <= index < len(leaves):
        raise ProofError("inclusion proof", f"an index below {len(leaves)}", f"{index}")
    if len(leaves) == 1:
        return []
    k = _split_at(len(leaves))
    if index < k:
        return [*inclusion_proof(leaves[:k], index), root(leaves[k:])]
    return [*inclusion_proof(leaves[k:], index - k), root(leaves[:k])]


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """Return PROOF(old_size, leaves) of RFC 6962, 2.1.2: that the first leaves are still a prefix."""
    if not 0 <= old_size <= len(leaves):
        raise ProofError("consistency proof", f"an old size up to {len(leaves)}", f"{old_size}")
    return _subproof(leaves, old_size, whole=True) if old_size else []


def _subproof(leaves: Sequence[bytes], old_size: int, *, whole: bool) -> list[bytes]:
    if old_size == len(leaves):
        return [] if whole else [root(leaves)]
    k = _split_at(len(leaves))
    if old_size <= k:
        return [*_subproof(leaves[:k], old_size, whole=whole), root(leaves[k:])]
    return [*_subproof(leaves[k:], old_size - k, whole=False), root(leaves[:k])]


def _split_at(size: int) -> int:
    """Return the largest power of two below `size` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes) -> None:
    """Check that a leaf stands at `index` in the tree of `size` leaves. RFC 9162, 2.1.3.2.

    Raises: ProofError.
    """
    if not 0 <= index < size:
        raise ProofError("inclusion proof", f"an index below {size}", f"{index}")
    _check_shape("inclusion proof", proof)
    at, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("inclusion proof", "one hash for each level", "hashes left over")
        if at & 1 or at == last:
            result = node_hash(sibling, result)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise ProofError("inclusion proof", "one hash for each level", "too few hashes")
    if result != expected_root:
        raise ProofError("inclusion proof", "the root of the checkpoint", "another root")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the older tree is a prefix of the newer one. RFC 9162, 2.1.4.2.

    Raises: ProofError; of two trees of one size with two roots it says that the log was split.
    """
    where = "consistency proof"
    _check_shape(where, proof)
    if not 0 <= old_size <= new_size:
        raise ProofError(where, f"a size of at least {old_size}", f"{new_size}, which is smaller")
    if old_size in (0, new_size):
        _verify_without_proof(old_size, old_root, new_size, new_root, proof)
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)  # a full subtree is its own first node
    if not path:
        raise ProofError(where, "at least one hash", "none")
    old, new = _walk(where, path, old_size - 1, new_size - 1)
    if old != old_root:
        raise ProofError(where, "the older root", "another root")
    if new != new_root:
        raise ProofError(where, "the newer root", "another root")


def _walk(where: str, path: Sequence[bytes], at: int, last: int) -> tuple[bytes, bytes]:
    """Return the roots of the older and the newer tree that a path leads to."""
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for each in path[1:]:
        if last == 0:
            raise ProofError(where, "one hash for each level", "hashes left over")
        if at & 1 or at == last:
            old, new = node_hash(each, old), node_hash(each, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, each)
        at, last = at >> 1, last >> 1
    if last:
        raise ProofError(where, "one hash for each level", "too few hashes")
    return old, new


def _verify_without_proof(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    where = "consistency proof"
    if proof:
        raise ProofError(where, "no hashes for an empty or equal tree", f"{len(proof)}")
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise ProofError(where, "the root of the empty tree", "another root")
    if old_size == new_size and old_root != new_root:
        raise ProofError(where, f"one root for size {old_size}", "two: the log was split")


def _check_shape(where: str, proof: Sequence[bytes]) -> None:
    if len(proof) > MAX_PROOF:
        raise ProofError(where, f"at most {MAX_PROOF} hashes", f"{len(proof)}")
    if any(len(each) != HASH_BYTES for each in proof):
        raise ProofError(where, f"hashes of {HASH_BYTES} bytes", "another length")
