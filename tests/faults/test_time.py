"""Rows T1 and T2 with the whole daemon: a wall clock that is set to anything, and one that nobody keeps right.

A small library gives the daemon and all its parts another wall clock, read anew from a file each time, and leaves the
clocks since boot alone; a time namespace gives another time since boot. Source: ld.so(8), time_namespaces(7).
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from agent.clocks import synchronised
from evidence.predicates import Clock
from evidence.reader import StoreReader
from tests.faults.oracles import assert_bounded, assert_kept, assert_runs_again, assert_verifies, kinds_of
from tests.faults.system import System, running, until

YEAR_S = 365 * 86400
JUMPS: dict[str, Callable[[int], int]] = {
    "ten years ahead": lambda now: now + 10 * YEAR_S,
    "ten years back": lambda now: now - 10 * YEAR_S,
    "the first seconds": lambda _now: 5,
    "before 32 bits end": lambda _now: 2**31 - 4,
    "before a leap second": lambda _now: 1483228797,  # 2016-12-31T23:59:57Z, the last one that there was
    "back to the truth": lambda now: now,
}


@pytest.fixture
def clock(system: System) -> Path:
    """Return the file that holds how many seconds the wall clock of this host is ahead."""
    library, file = system.folder / "wall_clock.so", system.folder / "clock"
    source = Path(__file__).with_name("wall_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    file.write_text("0")
    system.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK": str(file)}
    return file


def clocks(system: System) -> list[Clock]:
    """Return the clocks of all entries, in their order."""
    with StoreReader(str(system.state)) as reader:
        found = [each.statement for log in reader.logs() for each in reader.entries(log.id)]
    return [each.predicate.clock for each in found if each is not None]


@pytest.mark.slow
@pytest.mark.needs_program("cc")
def test_t1_a_clock_that_is_set_to_anything_changes_no_order_and_starts_no_storm(
    system: System, clock: Path, tmp_path: Path
) -> None:
    with running(system):
        for count, (name, moment) in enumerate(JUMPS.items(), 1):
            now = int(time.time())
            clock.write_text(str(moment(now) - now))
            await_more(system, "clock-jumped", count, name)
            await_more(system, "snapshot", kinds_of(system.state)["snapshot"] + 1, name)
        found = clocks(system)
        assert {"1970", "2016", "2038"} <= {each.wall[:4] for each in found}
        since_boot = [each.boottime_ms or 0 for each in found]
        assert all(earlier <= later for earlier, later in pairwise(since_boot))
        seconds = (since_boot[-1] - since_boot[0]) / 1000
        assert kinds_of(system.state)["snapshot"] <= seconds / 2 + 4  # two tables, each three and five seconds
        assert kinds_of(system.state)["clock-jumped"] == len(JUMPS)
        assert_bounded(system)
        assert_runs_again(system)
        assert_verifies(system, tmp_path / "pack.tar.gz", codes=(3,))  # a clock that jumps explains no gap


def await_more(system: System, kind: str, count: int, name: str) -> None:
    until(lambda: kinds_of(system.state)[kind] >= count, 40, f"{kind} at {name}")


@pytest.mark.needs_root
@pytest.mark.needs_program("unshare")
@pytest.mark.parametrize("years", [1, 30])
def test_t1_a_host_that_runs_for_years_is_read_as_one_that_began_today(system: System, years: int) -> None:
    system.before = ("unshare", "--time", "--boottime", str(years * YEAR_S), "--fork", "--kill-child")
    system.start()
    until(lambda: kinds_of_or_none(system) >= 2, 30, "two readings")
    found = clocks(system)
    assert (found[-1].boottime_ms or 0) > years * YEAR_S * 1000
    system.kill_all()
    assert_kept(system)


def kinds_of_or_none(system: System) -> int:
    """Return how many snapshots there are; none before there is a log."""
    return kinds_of(system.state)["snapshot"] if (system.state / "logs").is_dir() else 0


def test_t2_whether_anybody_keeps_the_clock_stands_in_each_entry_and_nothing_waits_for_it(system: System) -> None:
    before = synchronised()
    with running(system):
        until(lambda: kinds_of(system.state)["snapshot"], 15, "a reading")
    assert {each.synchronised for each in clocks(system)} <= {before, synchronised()}  # somebody may begin meanwhile
    assert None not in {each.synchronised for each in clocks(system)}
    assert all(each.boot_id for each in clocks(system))
