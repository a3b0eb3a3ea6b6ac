"""What processes cost, as proc(5) counts it: memory, times woken, processor time, bytes written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PPID, _FIRST_TIME, _LAST_TIME = 1, 11, 15  # in stat, behind the name
_GONE = (FileNotFoundError, ProcessLookupError)


@dataclass(frozen=True)
class Idle:
    """What processes did since they began; differences are what counts."""

    wakeups: int
    """Voluntary context switches: each is a sleep that ended."""
    cpu_ns: int


@dataclass(frozen=True)
class Spent:
    """What a tree of processes used, with all that it waited for."""

    cpu_s: float
    written_bytes: int


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants that live."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(*_GONE):
                parents[int(name)] = int(_stat(int(name))[_PPID])
    found = [pid] if pid in parents else []
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def idle(pids: Iterable[int]) -> Idle:
    """Return times woken and processor time, of every thread that lives."""
    wakeups = cpu_ns = 0
    for thread in (each for pid in pids for each in Path("/proc").glob(f"{pid}/task/*")):
        with suppress(*_GONE):
            said = (thread / "status").read_text()
            wakeups += int(said.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
            cpu_ns += int((thread / "schedstat").read_text().split()[0])
    return Idle(wakeups, cpu_ns)


def memory_kib(pids: Iterable[int]) -> tuple[int, int]:
    """Return RSS and PSS of those that live, summed: PSS counts what is shared with others by its share."""
    sums = {"Rss:": 0, "Pss:": 0}
    for pid in pids:
        with suppress(*_GONE):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, *rest = line.split()
                if name in sums:
                    sums[name] += int(rest[0])
    return sums["Rss:"], sums["Pss:"]


def spent(pid: int) -> Spent:
    """Return what a process and its descendants used; what has ended counts from when its parent waited for it."""
    cpu_s, written = 0.0, 0
    for each in tree(pid):
        with suppress(*_GONE):
            cpu_s += sum(int(ticks) for ticks in _stat(each)[_FIRST_TIME:_LAST_TIME]) / _TICKS
            said = Path(f"/proc/{each}/io").read_text()
            written += int(said.partition("\nwrite_bytes:")[2].split()[0])
    return Spent(cpu_s, written)


def _stat(pid: int) -> list[str]:
    """Return the fields of stat behind the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
