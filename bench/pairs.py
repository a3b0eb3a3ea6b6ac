"""Two commands side by side: A, B, A, B ..., whole processes, and the medians of the ratios of each pair.

What else the machine does then weighs on both halves of a pair alike. CPU and memory are those of the process
and all it waited for, from wait4(2).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What one run of a command cost."""

    wall_s: float
    cpu_s: float
    memory_kib: int
    """The largest resident set; exec(2) keeps that of the process before it, so never less than this one has."""
    code: int = 0
    """Exit code; a median has none."""


@dataclass(frozen=True)
class Ratio:
    """Ours divided by theirs, as medians of pairs; and the medians of each side, to give the ratios a size."""

    cpu: float
    wall: float
    memory: float
    ours: Cost
    theirs: Cost


def pairs(ours: Sequence[str], theirs: Sequence[str], n: int = 7) -> Ratio:
    """Return how one command compares with another over `n` pairs.

    One pair more runs beforehand and is not counted: it fills the caches for both.
    """
    measured = [(run(ours), run(theirs)) for _ in range(n + 1)][1:]
    return Ratio(
        cpu=statistics.median(mine.cpu_s / other.cpu_s for mine, other in measured),
        wall=statistics.median(mine.wall_s / other.wall_s for mine, other in measured),
        memory=statistics.median(mine.memory_kib / other.memory_kib for mine, other in measured),
        ours=_median([mine for mine, _ in measured]),
        theirs=_median([other for _, other in measured]),
    )


def run(command: Sequence[str]) -> Cost:
    """Run a command with its output thrown away and return what it cost."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    return Cost(wall_s=wall, cpu_s=used.ru_utime + used.ru_stime, memory_kib=used.ru_maxrss, code=process.returncode)


def _median(costs: list[Cost]) -> Cost:
    return Cost(
        wall_s=statistics.median(each.wall_s for each in costs),
        cpu_s=statistics.median(each.cpu_s for each in costs),
        memory_kib=round(statistics.median(each.memory_kib for each in costs)),
    )
