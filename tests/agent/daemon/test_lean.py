"""What is resident is small and asleep (docs/benchmarks.md has the figures beside those of others)."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.agent.daemon.conftest import Daemon, until
from tests.agent.daemon.starting_children import PYTHON

HEAVY = {"typing", "json", "re", "dataclasses", "subprocess", "logging", "argparse", "msgspec"}
MIB = 1 << 10
"""In KiB, as /proc counts."""


def resident(pid: int) -> int:
    """Return the resident memory of a process in KiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))


def woken(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches:"))


def cpu_ns(pid: int) -> int:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def test_it_imports_nothing_of_ours_but_its_own_room_and_nothing_that_is_heavy() -> None:
    script = "import sys; sys.path.insert(0, '.'); import agent.daemon.starting; print(*sys.modules, sep='\\n')"
    ended = subprocess.run([PYTHON, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    names = set(ended.stdout.split())
    ours = {each for each in names if each.partition(".")[0] in {"agent", "collectors", "evidence", "program"}}
    assert not [each for each in ours if not f"{each}.".startswith("agent.daemon.") and each != "agent"]
    assert names & HEAVY == set()


def test_idle_it_is_small_and_wakes_for_nothing(daemon: Daemon) -> None:
    (daemon.files / "many").mkdir()
    folders = [daemon.files / f"many/{number}" for number in range(100)]
    for each in folders:
        each.mkdir()
    watches = [f"watch\t{each}/\tusers" for each in folders]
    daemon.write_plan("table\tusers\t3600\t1\tfile", *watches)
    daemon.start()
    until(lambda: daemon.status().tables[0].coverage == "complete" and daemon.status().children == [])
    assert daemon.status().watches == 100
    time.sleep(1)
    pid = daemon.process.pid
    before = woken(pid), cpu_ns(pid)
    time.sleep(2)
    assert (woken(pid), cpu_ns(pid)) == before
    assert resident(pid) <= 14 * MIB
