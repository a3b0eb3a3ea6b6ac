"""P12: what stays in memory and wakes up while nothing happens: all idle processes together, beside other daemons.

All run at once for a minute, after what was due at the start is done: memory is the sum over the tree of processes of
smaps_rollup, a wakeup is a voluntary context switch, processor time is schedstat's.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from bench import processes, rivals
from bench.figures import Line
from bench.installed import installed
from bench.service import Service

SECONDS = 60
REST_S = 5
"""After the last child has ended, for what the supervisor writes then."""
MIB = 1024  # KiB
GOALS = ("17 MiB", "0.05/s", "1 ms")


def rows(
    seconds: float = SECONDS, configuration: str = "", rest_s: float = REST_S, others: Iterable[str] = rivals.ALL
) -> list[Line]:
    """Return P12, with a line beside each rival that can be run here, and one for each that cannot."""
    names = [each for each in others if rivals.can_run(each)]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        service = stack.enter_context(Service(installed(f"{folder}/root"), Path(folder), configuration))
        roots = {name: stack.enter_context(rivals.ALL[name](Path(folder))) for name in names}
        service.settle()
        time.sleep(rest_s)
        trees = {name: processes.tree(pid) for name, pid in (*roots.items(), ("ours", service.pid))}
        before = {name: processes.idle(pids) for name, pids in trees.items()}
        time.sleep(seconds)
        after = {name: processes.idle(pids) for name, pids in trees.items()}
        memory = {name: processes.memory_kib(pids) for name, pids in trees.items()}
    figures = {
        name: (
            memory[name][0] / MIB,
            (after[name].wakeups - before[name].wakeups) / seconds,
            (after[name].cpu_ns - before[name].cpu_ns) / 1e6 / seconds * 60,
        )
        for name in trees
    }
    own = Line("P12", f"the same, PSS: {memory['ours'][1] / MIB:.1f} MiB; processes: {len(trees['ours'])}", *["-"] * 4)
    missing = [each for each in others if each not in names]
    told = [Line("P12", f"not compared: {each} cannot be run here", *["-"] * 4) for each in missing]
    return [*(line for name in names or [""] for line in _beside(name, figures)), own, *told]


def _beside(name: str, figures: dict[str, tuple[float, float, float]]) -> list[Line]:
    """Return the lines of one comparison, or of ours alone."""
    units = ("{:.1f} MiB", "{:.2f}/s", "{:.2f} ms")
    jobs = ("idle, watches on, RSS of all", "idle: wakeups", "idle: CPU a minute")
    lines = []
    for job, unit, goal, mine, other in zip(
        jobs, units, GOALS, figures["ours"], figures.get(name, (0.0,) * 3), strict=True
    ):
        theirs, ratio = (unit.format(other), f"{mine / other:.2f}" if other else "-") if name else ("-", "-")
        lines.append(Line("P12", f"{job}{name and f'; {name}'}", unit.format(mine), theirs, ratio, goal))
    return lines
