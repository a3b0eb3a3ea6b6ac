"""P15: what a day at the default schedule costs: processor time, bytes written, entries.

A day of 24 minutes: every interval is a sixtieth of its default, so that each table is read as often as in a day.
What is counted are real runs, of the supervisor and all it started, from the moment after the first readings. The
time between runs is shorter than in a day, not what is done then: an idle supervisor does next to nothing (P12).
A folder is the sink. A delivery is put off until a quarter of an hour after the last one, which is not shortened:
what one costs is measured by itself, and those that a day of hourly readings would have are added.
Nothing is paused under pressure, as the machine that measures may be busy.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from bench import processes
from bench.figures import Line
from bench.installed import installed
from bench.pairs import run
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
            size, batches, before = service.size(), _batches(sink), processes.spent(service.pid)
            time.sleep(hours * 3600 / FACTOR)
            _rest(service)
            after = processes.spent(service.pid)
            entries, batches = service.size() - size, _batches(sink) - batches
            delivery = _delivery(service)
    share = DAY_H / hours
    more = max(DAY_H - batches * share, 0)
    cpu_s = (after.cpu_s - before.cpu_s) * share + delivery.cpu_s * more
    written = ((after.written_bytes - before.written_bytes) * share + delivery.written_bytes * more) / MIB
    return [
        Line("P15", "a day at the default schedule: CPU", f"{cpu_s:.1f} s", "-", "-", f"{GOAL_S} s"),
        Line("P15", "the same, of one core", f"{cpu_s / (DAY_H * 36):.3f} %", "-", "-", "0.07 %"),
        Line("-", "the same: written to disk", f"{written:.1f} MiB", "-", "-", "-"),
        Line("-", "the same: entries signed", f"{entries * share:.0f}", "-", "-", "-"),
        Line("-", "one delivery of it: CPU of signer and uploader", f"{delivery.cpu_s:.2f} s", "-", "-", "-"),
    ]


def _delivery(service: Service) -> processes.Spent:
    """Return what one delivery costs, with the signer that writes the batch and takes the receipt."""
    before = processes.spent(service.pid)
    cost = run(service.words("ship", "--once"))
    _rest(service)
    after = processes.spent(service.pid)
    return processes.Spent(cost.cpu_s + after.cpu_s - before.cpu_s, after.written_bytes - before.written_bytes)


def _rest(service: Service) -> None:
    service.wait_for("only the supervisor left", lambda: len(processes.tree(service.pid)) == 1)


def _batches(sink: Path) -> int:
    return len(list(sink.rglob("*.tar.gz")))


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
