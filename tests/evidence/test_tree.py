"""The tree against RFC 6962's own definition, its vectors, and every small size."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import tree
from evidence.errors import FormatError, ProofError

LEAVES = [tree.leaf_hash(b"leaf-%d" % each) for each in range(71)]


def mth(leaves: Sequence[bytes]) -> bytes:
    """Return the root as RFC 6962, 2.1 writes it down: recursion, no cleverness."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def test_the_vectors_of_the_specification_are_reproduced() -> None:
    assert tree.leaf_hash(b"leaf-0").hex() == "305df59f9590c3c9ac63d2b2743c388e3792449078cebf7fb3dbe6471643b2b7"
    assert base64.b64encode(tree.root(LEAVES[:7])) == b"CwB/uRXrmyoUb1SxyG7FO2ZPjkVbdmCwtu4T7cDZIcA="
    assert base64.b64encode(tree.root(LEAVES[:4])) == b"vdHF/1WxnLaw58dhv5psyqJ/u/wHt08fq7bpEaC9KrM="
    assert [base64.b64encode(each) for each in tree.inclusion_proof(LEAVES[:7], 3)] == [
        b"/KifV8n4yOtAR6f/nTM6z54PM4SyCyVbzqsPIW3Momc=",
        b"YKU+7Q3oepDI5ZQnxZxGJTwzp2oJUCpRgBMAknt+a9w=",
        b"jq5r07Ogfx917nKlMWKebrMeQuYvdg5H3lKlPDZB7yM=",
    ]
    assert [base64.b64encode(each) for each in tree.consistency_proof(LEAVES[:7], 4)] == [
        b"jq5r07Ogfx917nKlMWKebrMeQuYvdg5H3lKlPDZB7yM="
    ]


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert tree.root([]) == hashlib.sha256(b"").digest()


@pytest.mark.parametrize("size", range(71))
def test_the_frontier_agrees_with_the_definition(size: int) -> None:
    grown = tree.Frontier()
    for leaf in LEAVES[:size]:
        grown.append(leaf)
    assert (grown.size, grown.root()) == (size, mth(LEAVES[:size]))


def test_a_copy_grows_alone() -> None:
    grown = tree.Frontier(LEAVES[:5])
    other = grown.copy()
    other.append(LEAVES[5])
    assert grown.root() == mth(LEAVES[:5])
    assert other.root() == mth(LEAVES[:6])


@pytest.mark.parametrize("size", range(1, 71))
def test_each_leaf_of_each_size_has_a_proof_that_fits_only_its_place(size: int) -> None:
    leaves = LEAVES[:size]
    root = mth(leaves)
    for index in range(size):
        proof = tree.inclusion_proof(leaves, index)
        tree.verify_inclusion(leaves[index], index, size, proof, root)
        for wrong in {index - 1, index + 1, size - 1 - index} - {index}:
            with pytest.raises(ProofError):
                tree.verify_inclusion(leaves[index], wrong, size, proof, root)
        for bad in (proof[:-1], [*proof, root], [*proof[:-1], root], [b"", *proof[1:]]):
            if bad != proof:
                with pytest.raises(ProofError):
                    tree.verify_inclusion(leaves[index], index, size, bad, root)


@pytest.mark.parametrize("size", range(71))
def test_each_older_size_has_a_consistency_proof_that_fits_only_it(size: int) -> None:
    leaves = LEAVES[:size]
    new_root = mth(leaves)
    for old in range(size + 1):
        proof = tree.consistency_proof(leaves, old)
        old_root = mth(leaves[:old])
        tree.verify_consistency(old, old_root, size, new_root, proof)
        forged = tree.leaf_hash(b"forged")
        for roots in ((forged, new_root), (old_root, forged)):
            if old == 0 and roots[1] == forged:
                continue  # every tree continues the empty one
            with pytest.raises(ProofError):
                tree.verify_consistency(old, roots[0], size, roots[1], proof)
        for bad in ([*proof, new_root], proof[:-1], [*proof[:-1], forged]):
            if bad != proof:
                with pytest.raises(ProofError):
                    tree.verify_consistency(old, old_root, size, new_root, bad)


def test_two_roots_of_one_size_are_called_a_split_log() -> None:
    with pytest.raises(ProofError, match="the log was split"):
        tree.verify_consistency(3, mth(LEAVES[:3]), 3, mth(LEAVES[1:4]), [])


def test_a_log_that_shrank_is_refused() -> None:
    with pytest.raises(ProofError, match="smaller"):
        tree.verify_consistency(4, mth(LEAVES[:4]), 3, mth(LEAVES[:3]), [])


def test_a_proof_of_more_than_63_hashes_is_refused_unread() -> None:
    with pytest.raises(ProofError, match="at most 63"):
        tree.verify_inclusion(LEAVES[0], 0, 2**62, [LEAVES[1]] * 64, LEAVES[2])
    with pytest.raises(ProofError, match="at most 63"):
        tree.verify_consistency(1, LEAVES[0], 2**62, LEAVES[2], [LEAVES[1]] * 64)


@pytest.mark.parametrize("index", [-1, 3, 4])
def test_an_index_outside_the_tree_is_refused(index: int) -> None:
    with pytest.raises(ProofError):
        tree.inclusion_proof(LEAVES[:3], index)
    with pytest.raises(ProofError):
        tree.verify_inclusion(LEAVES[0], index, 3, [], mth(LEAVES[:3]))


def test_leaves_that_are_not_whole_hashes_are_refused() -> None:
    assert tree.split(b"".join(LEAVES)) == LEAVES
    with pytest.raises(FormatError):
        tree.split(b"x" * 33)


@given(
    size=st.integers(1, 2**62),
    index=st.integers(0, 2**62),
    proof=st.lists(st.binary(min_size=32, max_size=32), max_size=64),
)
def test_a_made_up_proof_never_passes(size: int, index: int, proof: list[bytes]) -> None:
    with pytest.raises(ProofError):
        tree.verify_inclusion(LEAVES[0], index, size, proof, LEAVES[1])


@given(st.data())
def test_any_changed_proof_of_a_larger_tree_fails(data: st.DataObject) -> None:
    size = data.draw(st.integers(71, 400))
    leaves = [tree.leaf_hash(b"%d" % each) for each in range(size)]
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size - 1))
    root, proof = tree.root(leaves), tree.inclusion_proof(leaves, index)
    tree.verify_inclusion(leaves[index], index, size, proof, root)
    at = data.draw(st.integers(0, len(proof) - 1))
    proof[at] = tree.node_hash(proof[at], proof[at])
    with pytest.raises(ProofError):
        tree.verify_inclusion(leaves[index], index, size, proof, root)
    between = tree.consistency_proof(leaves, old)
    tree.verify_consistency(old, tree.root(leaves[:old]), size, root, between)
    at = data.draw(st.integers(0, len(between) - 1))
    between[at] = tree.node_hash(between[at], between[at])
    with pytest.raises(ProofError):
        tree.verify_consistency(old, tree.root(leaves[:old]), size, root, between)
