"""What the supervisor says of itself, for `evidenced status`: lines of words separated by tabs, in the run folder.

`now BOOT_S WALL_S` is when it was written; other times are seconds since boot, `-` where there is none.
"""

from __future__ import annotations

import os
import time

from agent.daemon import clocks
from agent.daemon.hints import write_whole
from agent.daemon.schedule import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.daemon.results import Reading
    from agent.daemon.schedule import TableTimes
    from agent.daemon.supervisor import Supervisor

NAME = "status"
HEAD = "evidenced-status 1"
MOST_CLOSED = 50


def write(supervisor: Supervisor) -> bool:
    """Write the status file; return whether that was possible."""
    text = "".join("\t".join(map(_plain, line)) + "\n" for line in lines(supervisor))
    return write_whole(supervisor.settings.run, NAME, text, 0o644)


def lines(supervisor: Supervisor) -> Iterator[tuple[object, ...]]:
    """Yield what there is to say."""
    settings, runs, watching, parts = supervisor.settings, supervisor.runs, supervisor.watching, supervisor.parts
    schedule = runs.schedule
    yield (HEAD,)
    yield "process", os.getpid(), _moment(supervisor.began)
    yield "now", _moment(clocks.boot()), int(time.time())
    yield "state", settings.state, settings.outbox
    yield "parts", "systemd" if parts.under_systemd else "own", "separate" if parts.separate else "one-user"
    yield "plan", runs.plan.digest, supervisor.plan_problem or "-"
    yield "signed", runs.last_signed or "-", _moment(runs.signed_at)
    yield "held", _moment(schedule.held_until if schedule.held else NEVER)
    yield "paused", runs.pause.resource or "-"
    yield "deliver", _moment(parts.deliver_at)
    yield "watches", int(bool(runs.plan.watches)), watching.count, watching.overflows, watching.degraded or "-"
    for path, reason in list(watching.closed.items())[:MOST_CLOSED]:
        yield "closed", path, reason
    for name, table in schedule.tables.items():
        yield _table(name, table, runs.readings.get(name), runs.read_at.get(name, NEVER))
    for child in supervisor.family.members:
        yield "child", child.order.purpose, child.pid, _moment(child.began), ",".join(child.order.tables) or "-"
    for each in runs.stuck:
        yield "stuck", each.table, each.pid, _moment(each.since)
    for part in parts.members:
        pid = "-" if part.child is None else part.child.pid
        yield "part", part.name, pid, part.failures, _moment(part.broke_off_at)


def _table(name: str, table: TableTimes, reading: Reading | None, read_at: float) -> tuple[object, ...]:
    numbers = ("-",) * 5 if reading is None else reading.numbers
    coverage = "-" if reading is None else reading.coverage
    due = _moment(table.start_at())
    return "table", name, table.plan.interval_s, _moment(read_at), due, table.failures, coverage, *numbers


def _moment(seconds: float) -> str:
    return "-" if seconds == NEVER else f"{seconds:.1f}"


def _plain(word: object) -> str:
    """Return a word that cannot end its line or begin another word."""
    return "".join(each if each.isprintable() else "?" for each in str(word))
