"""When tables are read: pure arithmetic, tried on a clock of the test's own."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.daemon.plan import PlannedTable
from agent.daemon.schedule import FIRST_S, NEVER, QUIET_S, RETRY_LIMIT_S, RETRY_S, STORM_S, Run, Schedule

HOUR = 3600


def table(name: str, interval_s: int = HOUR, distance_s: int = 5, kind: str = "file") -> PlannedTable:
    return PlannedTable(name, interval_s, distance_s, kind)


def scheduled(*tables: PlannedTable, jitter_s: float = 0, now: float = 0.0, share: float = 0.0) -> Schedule:
    return Schedule(tables or (table("users"), table("groups")), jitter_s, now, lambda: share)


def read(schedule: Schedule, now: float, kind: str = "file", took_s: float = 1.0) -> Run:
    """Have what is due read, and return it."""
    run = schedule.take(kind, now)
    assert run is not None
    schedule.begun(run.tables, now)
    for name in run.tables:
        schedule.ended(name, now + took_s, failed=False)
    schedule.signed()
    return run


def test_everything_is_read_soon_after_the_start_in_one_run() -> None:
    schedule = scheduled()
    assert schedule.next_time() == FIRST_S
    assert schedule.take("file", FIRST_S - 0.1) is None
    run = read(schedule, FIRST_S)
    assert (run.tables, run.reason) == (("users", "groups"), "scheduled")
    assert schedule.next_time() == FIRST_S + HOUR


def test_kinds_have_runs_of_their_own_so_that_quick_tables_do_not_wait_for_the_sweep() -> None:
    schedule = scheduled(table("users"), table("sweeps", kind="sweep"))
    assert read(schedule, 5, "file").tables == ("users",)
    assert schedule.next_time(busy=("sweep",)) == 5 + HOUR
    assert read(schedule, 5, "sweep").tables == ("sweeps",)


def test_a_table_that_is_nearly_due_is_read_along() -> None:
    schedule = scheduled(table("users"), table("groups", HOUR + 400), table("later", 2 * HOUR))
    read(schedule, FIRST_S)
    assert read(schedule, FIRST_S + HOUR).tables == ("users", "groups")


def test_jitter_puts_off_by_no_more_than_it_says_nor_a_quarter_of_the_interval() -> None:
    long, short = table("long"), table("short", 60)
    schedule = scheduled(long, short, jitter_s=120, share=1.0)
    read(schedule, FIRST_S)
    assert schedule.tables["long"].due == FIRST_S + HOUR + 120
    assert schedule.tables["short"].due == FIRST_S + 60 + 15


def test_a_table_is_never_read_twice_at_once() -> None:
    schedule = scheduled(table("users", interval_s=10))
    schedule.begun(("users",), 5)
    schedule.changed(("users",), 6)
    assert schedule.next_time() == NEVER
    assert schedule.take("file", 1000) is None


def test_a_burst_is_read_a_moment_after_its_last_change() -> None:
    schedule = scheduled()
    read(schedule, FIRST_S)
    for moment in (100, 100.5, 101):
        schedule.changed(("users",), moment)
    assert schedule.next_time() == 101 + QUIET_S
    run = read(schedule, 101 + QUIET_S)
    assert (run.tables, run.reason) == (("users",), "change")
    assert schedule.tables["users"].burst_began is None


def test_a_storm_is_read_before_it_ends_and_in_few_runs() -> None:
    schedule = scheduled()
    read(schedule, FIRST_S)
    runs, moment = [], 100.0
    for _ in range(10_000):  # 10,000 changes in 200 s
        moment += 0.02
        schedule.changed(("users",), moment)
        if schedule.next_time() <= moment:
            runs.append(moment)
            read(schedule, moment, took_s=0.01)
    assert runs[0] == pytest.approx(100 + STORM_S, abs=0.05)
    assert len(runs) == 4
    assert all(later - sooner <= STORM_S + 0.1 for sooner, later in itertools.pairwise(runs))


def test_changes_that_never_end_are_read_at_once_for_a_while_and_then_at_the_pace_of_a_storm() -> None:
    schedule = scheduled(table("users", 86400 * 2))
    read(schedule, FIRST_S)
    starts, moment = [], 1000.0
    while moment < 1000 + 86400:  # a user who writes his authorized_keys every ten seconds, for a day
        schedule.changed(("users",), moment)
        while (start := schedule.next_time()) < moment + 10:
            starts.append(start)
            read(schedule, start, took_s=0.5)
        moment += 10
    assert [start - 1000 for start in starts[:30]] == pytest.approx([10 * each + QUIET_S for each in range(30)])
    assert 86400 / STORM_S <= len(starts) <= 86400 / STORM_S + 31
    assert max(later - sooner for sooner, later in itertools.pairwise(starts)) <= STORM_S + 10


def test_quiet_earns_readings_at_once_again() -> None:
    schedule = scheduled(table("users", 86400))
    moment = 100.0
    while schedule.next_time(changed=True) in (NEVER, moment - 10 + QUIET_S):
        if schedule.next_time(changed=True) < moment:
            read(schedule, schedule.next_time())
        schedule.changed(("users",), moment)
        moment += 10
    late = schedule.next_time()
    assert moment < late <= moment + STORM_S
    read(schedule, late)
    schedule.changed(("users",), 3000)
    assert schedule.next_time() == 3000 + QUIET_S


def test_a_change_while_a_table_is_read_makes_one_more_run() -> None:
    schedule = scheduled()
    run = schedule.take("file", 10)
    assert run is not None
    schedule.begun(run.tables, 10)
    schedule.changed(("users",), 11)
    schedule.changed(("users",), 12)
    for name in run.tables:
        schedule.ended(name, 20, failed=False)
    assert read(schedule, 20).tables == ("users",)
    assert schedule.next_time() == 10 + HOUR


def test_changes_keep_the_distance_that_the_plan_asks_for() -> None:
    schedule = scheduled(table("packages", distance_s=20))
    read(schedule, 10)
    schedule.changed(("packages",), 12)
    assert schedule.next_time() == 30


def test_a_change_can_be_told_from_what_is_merely_due() -> None:
    schedule = scheduled()
    assert schedule.next_time(changed=True) == NEVER
    schedule.changed(("users",), 100)
    assert schedule.next_time(changed=True) == 100 + QUIET_S
    run = schedule.take("file", 200, changed=True)
    assert run is not None
    assert (run.tables, run.reason) == (("users",), "change")
    schedule.begun(run.tables, 200)
    assert schedule.take("file", 200, changed=True) is None
    assert schedule.take("file", 200) is not None


def test_a_change_of_an_unknown_table_is_nobodys() -> None:
    schedule = scheduled()
    schedule.changed(("gone",), 1)
    assert schedule.next_time() == FIRST_S


def test_what_cannot_be_signed_holds_everything_longer_each_time_and_is_then_due_at_once() -> None:
    schedule, waits = scheduled(), []
    now = 10.0
    for _ in range(12):
        run = schedule.take("file", now)
        assert run is not None
        schedule.begun(run.tables, now)
        schedule.unsigned(run.tables, now)
        assert schedule.held
        assert schedule.take("file", now + RETRY_S - 0.1) is None
        waits.append(schedule.next_time() - now)
        now = schedule.next_time()
    assert waits[:3] == [5, 10, 20]
    assert waits[-1] == RETRY_LIMIT_S
    schedule.signed()
    assert schedule.take("file", now) is not None


def test_tables_that_cannot_be_signed_while_events_can_are_tried_alone_and_ever_more_rarely() -> None:
    schedule = scheduled(table("huge"), table("users"))
    now, huge = 10.0, []
    while now < 7200:
        run = schedule.take("file", now)
        assert run is not None
        schedule.begun(run.tables, now)
        if "huge" in run.tables:
            huge.append(run)
            schedule.unsigned(run.tables, now)
        else:
            schedule.signed()
            schedule.ended("users", now, failed=False)
        schedule.signed()  # an event is, each time: the signer is well
        now = schedule.next_time()
    assert [each.tables for each in huge[:2]] == [("huge", "users")] * 2
    assert {each.tables for each in huge[2:]} == {("huge",)}
    assert len(huge) < 20
    assert schedule.tables["users"].failures == 0


def test_a_run_that_broke_off_is_tried_table_by_table_longer_each_time() -> None:
    schedule = scheduled(table("users"), table("broken"))
    schedule.begun(("users", "broken"), 10)
    schedule.lost(("users", "broken"), 11)
    assert schedule.next_time() == 16
    assert read(schedule, 16).tables == ("users",)
    schedule.tables["users"].due = NEVER
    for now, wait in ((1000, 10), (2000, 20), (3000, 40)):
        run = schedule.take("file", now)
        assert run is not None
        assert run.tables == ("broken",)
        schedule.begun(run.tables, now)
        schedule.lost(run.tables, now)
        assert schedule.tables["broken"].start_at() == now + wait


def test_a_table_that_failed_is_read_again_sooner_than_its_interval_but_not_at_once() -> None:
    schedule = scheduled(table("users", 86400))
    for times, wait in ((1, 300), (2, 600), (3, 1200)):
        schedule.begun(("users",), 1000)
        schedule.ended("users", 1000, failed=True)
        assert schedule.tables["users"].failures == times
        assert schedule.next_time() == 1000 + wait


@pytest.mark.parametrize(
    ("read_at", "due"), [(900.0, 900 + HOUR), (1000.0, 1000 + HOUR), (1001.0, 1000 + FIRST_S), (-1e18, 1000 + FIRST_S)]
)
def test_a_hint_counts_only_if_it_can_be_true(read_at: float, due: float) -> None:
    schedule = scheduled(table("users"), now=1000)
    schedule.remembered("users", read_at, 1000)
    assert schedule.next_time() == due


def test_another_plan_keeps_what_is_known_and_shortens_what_waits() -> None:
    before = scheduled(table("users"), table("gone"))
    read(before, 10)
    after = scheduled(table("users", 60), table("new"), now=100)
    after.carried(before)
    assert after.tables["users"].due == 70
    assert after.tables["new"].due == 102


def test_another_plan_shortens_what_waits_by_a_hint_too() -> None:
    before = scheduled(table("users"), now=1000)
    before.remembered("users", 900.0, 1000)
    after = scheduled(table("users", 60), now=2000)
    after.carried(before)
    assert after.tables["users"].due == 960


@given(st.integers(0, 2**32), st.floats(0, 1))
@settings(max_examples=30)
def test_in_a_day_of_changes_failures_and_stops_no_table_is_late_or_read_in_a_storm(seed: int, share: float) -> None:
    dice = random.Random(seed)  # noqa: S311  dice of a test
    tables = [table("users"), table("packages", 2 * HOUR, 20), table("sweeps", 6 * HOUR, 60, "sweep")]
    schedule = Schedule(tables, 120, 0.0, lambda: share)
    now, starts = 0.0, {each.name: [0.0] for each in tables}
    while now < 86400:
        now = max(now, min(schedule.next_time(), now + dice.expovariate(1 / 600)))
        if dice.random() < 0.3:
            schedule.changed([dice.choice(tables).name], now)
        for kind in ("file", "sweep"):
            run = schedule.take(kind, now)
            if run is None:
                continue
            schedule.begun(run.tables, now)
            for name in run.tables:
                starts[name].append(now)
            if dice.random() < 0.05:
                schedule.unsigned(run.tables, now)
            else:
                schedule.signed()
                for name in run.tables:
                    schedule.ended(name, now, failed=dice.random() < 0.05)
    for each in tables:
        distances = [later - sooner for sooner, later in itertools.pairwise(starts[each.name])]
        assert max(distances) <= 2 * each.interval_s
        assert min(distances[1:]) >= each.distance_s - 1e-6
