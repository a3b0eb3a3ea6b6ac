"""P15: what a day at the default schedule costs: processor time, bytes written, entries.

A day of 24 minutes: every interval is a sixtieth of its default, so that each table is read as often as in a day.
What is counted are real runs, of the supervisor and all it started, from the moment after the first readings. The
time between runs is shorter than in a day, not what is done then: an idle supervisor does next to nothing (P12).
A folder is the sink. Nothing is paused under pressure, as the machine that measures may be busy.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from bench import processes
from bench.figures import Line
from bench.installed import installed
from bench.service import Service
from collectors.catalogue import all_tables

HOURS = 24
FACTOR = 60
GOAL_S = 60
MIB = 1 << 20
DAY_H = 24


def rows(hours: float = HOURS) -> list[Line]:
    """Return P15, measured over some hours of the shortened day and scaled to all of it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sink = Path(folder) / "sink"
        sink.mkdir()
        with Service(installed(f"{folder}/root"), Path(folder), configuration(sink)) as service:
            service.settle()
            before, size = processes.spent(service.pid), service.size()
            time.sleep(hours * 3600 / FACTOR)
            service.wait_for("only the supervisor left", lambda: len(processes.tree(service.pid)) == 1)
            after, grown = processes.spent(service.pid), service.size()
        delivered = sum(each.stat().st_size for each in sink.rglob("*.tar.gz"))
    share = DAY_H / hours
    cpu_s = (after.cpu_s - before.cpu_s) * share
    written = (after.written_bytes - before.written_bytes) * share / MIB
    return [
        Line("P15", "a day at the default schedule: CPU", f"{cpu_s:.1f} s", "-", "-", f"{GOAL_S} s"),
        Line("P15", "the same, of one core", f"{cpu_s / 864:.3f} %", "-", "-", "0.07 %"),
        Line("-", "the same: written to disk", f"{written:.1f} MiB", "-", "-", "-"),
        Line("-", "the same: entries signed", f"{(grown - size) * share:.0f}", "-", "-", "-"),
        Line("-", "batches of it, with those of the first readings", f"{delivered / MIB:.1f} MiB", "-", "-", "-"),
    ]


def configuration(sink: Path, leave_out: Collection[str] = ()) -> str:
    """Return the defaults, sixty times as fast."""
    tables = "".join(
        f'[tables.{each.name}]\ninterval = "{_short(each.interval_s)}"\n'
        + ("enabled = false\n" if each.name in leave_out else "")
        for each in all_tables()
    )
    return (
        f'[schedule]\nheartbeat = "{_short(3600)}"\njitter = "2s"\n[schedule.pressure]\ncpu = 0\nmemory = 0\nio = 0\n'
        f'[upload]\njitter = "1s"\n{tables}[[sinks]]\ntype = "directory"\nname = "folder"\npath = "{sink}"\n'
    )


def _short(seconds: int) -> str:
    return f"{max(seconds // FACTOR, 60)}s"
