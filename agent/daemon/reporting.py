"""What the supervisor says of itself, for `evidenced status`: lines of words separated by tabs, in the run folder.

`now BOOT_S WALL_S` is when it was written; other times are seconds since boot, `-` where there is none.
"""

from __future__ import annotations

import time

from agent.daemon import clocks
from agent.daemon.hints import write_whole
from agent.daemon.schedule import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

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
    settings, schedule, watching = supervisor.settings, supervisor.schedule, supervisor.watching
    yield (HEAD,)
    yield "process", supervisor.pid, _moment(supervisor.began)
    yield "now", _moment(clocks.boot()), int(time.time())
    yield "state", settings.state, settings.outbox
    yield "parts", "systemd" if supervisor.under_systemd else "own", "separate" if supervisor.separate else "one-user"
    yield "plan", supervisor.plan.digest, supervisor.plan_problem
    yield "signed", supervisor.last_signed or "-", _moment(supervisor.signed_at)
    yield "held", _moment(schedule.held_until if schedule.held else NEVER)
    yield "paused", supervisor.pause.resource or "-"
    yield "watches", watching.count, watching.degraded or "-", watching.overflows
    for path, reason in list(watching.closed.items())[:MOST_CLOSED]:
        yield "closed", path, reason
    for name, table in schedule.tables.items():
        reading = supervisor.readings.get(name)
        due = table.start_at() if not table.running else NEVER
        read_at = supervisor.read_at.get(name, NEVER)
        numbers = ("-",) * 5 if reading is None else reading.numbers
        coverage = "-" if reading is None else reading.coverage
        yield "table", name, table.plan.interval_s, _moment(read_at), _moment(due), table.failures, coverage, *numbers
    for child in supervisor.children:
        order = child.order
        yield "child", order.purpose, child.pid, _moment(child.began), ",".join(order.tables) or "-"
    for each in supervisor.stuck:
        yield "stuck", each.table, each.pid, _moment(each.since)
    for part in supervisor.parts:
        yield "part", part.name, "-" if part.child is None else part.child.pid, part.restarts


def _moment(seconds: float) -> str:
    return "-" if seconds == NEVER else f"{seconds:.1f}"


def _plain(word: object) -> str:
    """Return a word that cannot end its line or begin another word."""
    return "".join(each if each.isprintable() else "?" for each in str(word))
