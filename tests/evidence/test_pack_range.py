"""Which entries go into a pack: the period, its borders, and what explains them."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from evidence import statement
from evidence.errors import DamageError
from evidence.pack_range import EmptyPeriodError, choose
from evidence.pack_source import signed_logs
from tests.evidence.known import OTHER, WITNESS
from tests.evidence.memory_store import MemoryStore
from tests.evidence.statements import observation, users


def store(*days: int) -> MemoryStore:
    """Return a store with one snapshot of users on each of these days of January; entry 0 opens the log."""
    made = MemoryStore()
    for day in days:
        made.snapshot([users()], wall(day))
    return made


def wall(day: int) -> str:
    return f"2026-01-{day:02d}T07:00:00.000Z"


def chosen(made: MemoryStore, since: int, until: int) -> list[tuple[int, int, tuple[int, ...]]]:
    """Return (first, count, extras) of each log, for days of January."""
    period = (datetime(2026, 1, day, tzinfo=timezone.utc) for day in (since, until))
    parts = choose(made, signed_logs(made), *period)
    return [(part.first, part.count, part.extras) for part in parts]


def test_the_period_gets_one_entry_on_each_side() -> None:
    assert chosen(store(1, 2, 3, 4, 5, 6), 3, 5) == [(2, 4, (0,))]


def test_the_end_of_the_period_is_not_part_of_it() -> None:
    made = store(1, 2, 3, 4, 5)
    assert chosen(made, 3, 4) == [(2, 3, (0,))]
    made.snapshot([users()], "2026-01-06T00:00:00.000Z")
    made.snapshot([users()], "2026-01-06T00:00:00.001Z")
    assert chosen(made, 5, 6) == [(4, 3, (0,))]


def test_a_whole_log_has_no_borders_and_no_extras() -> None:
    assert chosen(store(1, 2), 1, 31) == [(0, 3, ())]


def test_a_period_without_entries_is_an_error_that_says_where_there_are_some() -> None:
    with pytest.raises(EmptyPeriodError) as caught:
        chosen(store(1, 2, 20), 5, 10)
    assert str(caught.value) == (
        "pack: expected entries from 2026-01-05T00:00:00Z to 2026-01-10T00:00:00Z, "
        "found none; there are some from 2025-12-01 to 2026-01-20; choose another period"
    )


def test_the_last_reading_of_each_table_before_the_period_is_an_extra() -> None:
    made = store(1)
    made.snapshot([users(name="rare"), users(name="other")], wall(2))
    made.snapshot([users(name="other")], wall(3))
    for day in (4, 5, 6):
        made.snapshot([users()], wall(day))
    assert chosen(made, 6, 7) == [(5, 2, (0, 2, 3))]


def test_a_failed_attempt_is_no_reading() -> None:
    made = store(1, 2)
    failed = users(coverage="failed", failure="killed", rows=b"", row_count=0)
    made.snapshot([failed], wall(3))
    made.snapshot([users(name="other")], wall(4))
    made.snapshot([users(name="other")], wall(5))
    assert chosen(made, 5, 6) == [(4, 2, (0, 2))]


def test_an_image_is_another_host_with_tables_of_its_own() -> None:
    made = store(1)
    made.snapshot([users()], wall(2), observation(name="image", machine=None, observed="image"))
    for day in (3, 4, 5):
        made.snapshot([users()], wall(day))
    assert chosen(made, 5, 6) == [(4, 2, (0, 2))]


def test_a_clock_that_jumps_out_of_the_period_and_back_leaves_no_hole() -> None:
    made = store(1, 10, 11)
    made.snapshot([users()], "2036-01-01T00:00:00.000Z")
    made.snapshot([users()], "1970-01-01T00:00:00.000Z")
    made.snapshot([users()], wall(12))
    made.snapshot([users()], wall(30))
    assert chosen(made, 10, 13) == [(1, 7, (0,))]


def rotated() -> MemoryStore:
    """Return two logs: entries 0 to 4 close with a rotation, then entries 0 to 3."""
    made = store(1, 2, 3)
    made.rotate(OTHER, wall(4))
    for day in (5, 6, 7):
        made.snapshot([users()], wall(day))
    return made


def test_a_period_over_a_rotation_takes_both_logs_without_a_hole() -> None:
    assert chosen(rotated(), 3, 6) == [(2, 3, (0,)), (0, 3, ())]


def test_the_border_before_a_new_log_is_the_entry_that_closed_the_old_one() -> None:
    made = store(1, 2, 3)
    made.rotate(OTHER, "2026-01-03T23:00:00.000Z")
    made.event("log-opened", {"previous": None, "why": "first"}, {}, wall(4))
    assert chosen(made, 4, 31)[0][:2] == (4, 1)


def test_the_border_behind_an_old_log_is_the_entry_that_opened_the_new_one() -> None:
    made = rotated()
    period = (datetime(2026, 1, 3, tzinfo=timezone.utc), datetime(2026, 1, 4, 7, 0, 0, 1, tzinfo=timezone.utc))
    parts = choose(made, signed_logs(made), *period)
    assert [(part.first, part.count) for part in parts] == [(2, 3), (0, 2)]


def test_an_earlier_log_that_is_only_needed_for_a_last_reading_gives_the_entry_that_closed_it() -> None:
    made = rotated()
    # The only reading of users before the 7th is the one on the 6th, so nothing of the old log is needed …
    assert chosen(made, 7, 8) == [(2, 2, (0,))]
    # … until a table was last read there.
    made = store(1)
    made.snapshot([users(name="rare")], wall(2))
    made.rotate(OTHER, wall(3))
    for day in (4, 5, 6):
        made.snapshot([users()], wall(day))
    assert chosen(made, 6, 7) == [(3, 1, (0, 2)), (2, 2, (0,))]


def test_the_event_that_pruned_a_blob_of_the_pack_is_an_extra() -> None:
    made = store(1, 2, 3, 4, 5)
    made.prune([statement.digest(users().rows)], wall(20))
    made.event("pruned", {"before": "2026-01-01T00:00:00Z", "blobs": 1}, {"digests": ["00" * 32]}, wall(21))
    assert chosen(made, 2, 4) == [(1, 4, (0, 6))]


def test_an_earlier_event_that_pruned_a_blob_of_the_pack_is_an_extra_too() -> None:
    made = store(1, 2)
    made.prune([statement.digest(users().rows)], wall(3))
    for day in (4, 5, 6):
        made.snapshot([users(name="other")], wall(day))
    assert chosen(made, 6, 7) == [(5, 2, (0, 2, 3))]


def test_later_damage_is_always_told() -> None:
    made = store(1, 2, 3, 4, 5)
    made.event("damage", {"part": "segment", "count": 1}, {}, wall(20))
    assert chosen(made, 2, 4) == [(1, 4, (0, 6))]


def test_an_explaining_event_in_a_later_log_brings_the_logs_up_to_it() -> None:
    made = rotated()
    made.rotate(WITNESS, wall(8))
    made.prune([statement.digest(users().rows)], wall(9))
    assert chosen(made, 1, 2) == [(0, 3, (4,)), (0, 1, (4,)), (0, 1, (1,))]


def test_an_entry_that_is_not_its_leaf_is_never_chosen() -> None:
    made = store(1, 2, 3)
    made.last.leaves[2] = made.last.leaves[1]
    with pytest.raises(DamageError, match="entry 2 of 56475aa75463474c-1: expected the payload of its leaf"):
        chosen(made, 1, 31)
