"""What is held of one folder: nobody folds the entries of another, and all of it stays within bounds."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from collectors.reading.facts import Facts
from collectors.reading.sweep_shown import MOST_OWNERS, Shown


def shown(owners: list[int], crowd: int) -> Shown:
    """Return what is held of entries with these owners, whose group is the owner's number."""
    found = Shown(crowd)
    for number, uid in enumerate(owners):
        found.add(str(number), Facts("file", 0o4755, uid, uid, 0, 0.0, 1, number, 1), None)
    return found


def listed(found: Shown) -> dict[int | None, int]:
    """Return how many entries of each owner are held one by one; -1 if they are a number."""
    return {each.uid: -1 if each.some is None else len(each.some) for each in found}


def test_one_owner_too_many_entries_is_a_number_with_owner_and_group() -> None:
    found = shown([7] * 4 + [0, 0, 8], 3)
    assert listed(found) == {7: -1, 0: 2, 8: 1}
    assert [(each.count, each.gid) for each in found] == [(4, 7), (2, 0), (1, 8)]


def test_a_crowd_of_several_groups_names_none() -> None:
    found = Shown(1)
    for gid in (1, 2, 3):
        found.add("x", Facts("file", 0o4755, 7, gid, 0, 0.0, 1, 1, 1), None)
    assert [(each.uid, each.gid, each.count) for each in found] == [(7, None, 3)]


def test_a_user_with_many_numbers_to_own_files_by_folds_those_with_most_of_them() -> None:
    many = [uid for uid in range(100_000, 100_050) for _ in range(3)]
    found = listed(shown([8, 0, 0, *many, 9], 3))
    assert (found[8], found[0], found[9]) == (1, 2, 1)
    assert sum(count for count in found.values() if count > 0) <= 10 * 3 + 2


def test_past_a_thousand_owners_only_roots_are_told_apart() -> None:
    found = shown([0, *range(1, 2 * MOST_OWNERS), 0], 500)
    assert listed(found) == {0: 2, None: -1}
    assert [(each.uid, each.gid, each.count) for each in found] == [(0, 0, 2), (None, None, 2 * MOST_OWNERS - 1)]


def test_sixty_five_thousand_owners_are_seen_in_linear_time() -> None:
    owners = [uid for uid in range(1, MOST_OWNERS) for _ in range(20)] + list(range(65_536))
    began = time.process_time()
    shown(owners, 200)
    assert time.process_time() - began < 5


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 6))
def test_every_entry_is_listed_or_counted_once(owners: list[int], crowd: int) -> None:
    found = shown(owners, crowd)
    assert {each.uid: each.count for each in found} == {uid: owners.count(uid) for uid in owners}
    for each in found:
        assert each.some is None or len(each.some) == each.count <= crowd
    if owners.count(0) <= crowd:
        assert all(each.some is not None for each in found if each.uid == 0)
