"""The state of the service as a person reads it: first what is amiss, then what runs, then each table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from agent.last_readings import LastReading
from agent.places import Places
from agent.supervision import Supervision, Table
from agent.terminal import counted, seconds, thousands
from program.text import columns, printable

LATE = 2
"""Intervals after which a table is late; the same that completeness of a period allows."""


class Log(msgspec.Struct):
    """The newest log, and what is in it."""

    id: str | None = None
    entries: int = 0
    fingerprint: str | None = None
    receipt: dict[str, str | int] | None = None
    """The newest cosignature: by whom, over how many entries, when."""
    readings: dict[str, LastReading] = {}
    problem: str | None = None


class Outbox(msgspec.Struct):
    """Batches that wait; None where this user cannot see them."""

    batches: int | None = None
    bytes: int | None = None


class Sink(msgspec.Struct):
    """How one sink fared when it was tried last; times are UTC by this host's clock."""

    name: str
    state: str
    reason: str | None
    since: str | None
    last_success: str | None
    parked: int
    """Batches that it will not have as they are."""

    @property
    def amiss(self) -> bool:
        """Return whether a person has to see to it; what is merely tried again passes by itself."""
        return self.state == "held" or bool(self.parked)


def problems_of(said: Supervision | None, log: Log, sinks: Sequence[Sink] = (), *, running: bool) -> Iterator[str]:
    """Yield what is amiss, with what to do."""
    if not running:
        yield "the service does not run; start it with systemctl start evidenced, or evidenced run"
    elif said is None:
        yield "the service runs, and does not say how it is; try again in a few seconds"
    if log.problem is not None and said is None:
        yield log.problem
    if said is not None:
        yield from _told(said)
    for each in sinks:
        if each.amiss:
            yield f"sink {printable(each.name)} does not take what it is sent; see below, and evidenced doctor"


def _told(said: Supervision) -> Iterator[str]:
    if said.held_s is not None:
        yield f"nothing can be signed; tried again in {_span(said.held_s)}; see evidenced doctor"
    if said.plan_problem is not None:
        yield f"the configuration is not in force: {printable(said.plan_problem)}"
    if said.watches_problem is not None:
        yield f"changes are seen by the schedule only: {printable(said.watches_problem)}"
    for each in said.stuck:
        yield f"process {each.pid} hangs in the kernel, with table {printable(', '.join(each.tables))}; look at mounts"
    for part in said.failing:
        last = "" if part.age_s is None else f", last {_span(part.age_s)} ago"
        yield f"{printable(part.what)} breaks off when it is started{last}; see the journal"
    for table in said.tables:
        yield from _amiss(table)


def _amiss(table: Table) -> Iterator[str]:
    name = printable(table.name)
    if table.coverage == "failed":
        yield f"table {name} failed; see evidenced inventory --table {name}"
    elif table.age_s is not None and table.age_s > LATE * table.interval_s:
        yield f"table {name} is late: read {_span(table.age_s)} ago, every {_span(table.interval_s)}"


def page(
    where: Places,
    said: Supervision | None,
    log: Log,
    outbox: Outbox,
    sinks: Sequence[Sink],
    problems: Sequence[str],
) -> Iterator[str]:
    """Yield the lines of the page."""
    yield from (f"! {each}" for each in problems)
    if said is not None:
        how = {"separate": "each part is a user of its own", "one-user": "all parts are one user"}
        age = "" if said.age_s is None else f" for {_span(said.age_s)}"
        yield f"running   process {said.pid}{age}; {how.get(said.separation, '')}"
        yield from (f"          {printable(each.what)}: process {each.pid}" for each in said.children)
        yield f"watches   {_watches(said)}"
        if said.paused is not None:
            yield f"paused    the host is short of {printable(said.paused)}"
    yield f"state     {printable(where.state)}"
    yield f"log       {_log_line(log)}"
    yield f"delivery  {_delivery(said, log, outbox)}"
    yield from (f"sink      {printable(each.name)}: {_sink(each)}" for each in sinks)
    yield ""
    yield from _tables(said, log)


def _watches(said: Supervision) -> str:
    if not said.watches_wanted:
        return "off, by configuration"
    text = counted(said.watches, "folder")
    text += f", {counted(len(said.closed), 'folder')} closed to this user" if said.closed else ""
    return text + (f", {said.overflows} times more changes than could be noted" if said.overflows else "")


def _log_line(log: Log) -> str:
    if log.id is None:
        return printable(log.problem) if log.problem else "none yet"
    return f"{log.id}, {counted(log.entries, 'entry')}, key {log.fingerprint}"


def _delivery(said: Supervision | None, log: Log, outbox: Outbox) -> str:
    waiting = "batches are not shown to this user"
    if outbox.batches is not None:
        wait = "1 batch waits" if outbox.batches == 1 else f"{thousands(outbox.batches)} batches wait"
        waiting = f"{wait}, {thousands(outbox.bytes or 0)} bytes"
    if said is not None and said.deliver_in_s is not None:
        waiting += f", next try in {_span(said.deliver_in_s)}"
    last = "no receipt yet"
    if log.receipt is not None:
        last = f"last receipt {log.receipt['time']} by {printable(str(log.receipt['name']))} over {log.receipt['size']}"
    return f"{waiting}; {last}"


def _sink(sink: Sink) -> str:
    last = "nothing was delivered yet" if sink.last_success is None else f"last delivery {sink.last_success}"
    if sink.state == "ok" and not sink.parked:
        return last
    how = {"held": "held", "retry": "tried again"}.get(sink.state) or f"{counted(sink.parked, 'refusal')}"
    since = "" if sink.since is None else f" since {sink.since}"
    reason = "no reason was noted" if sink.reason is None else printable(sink.reason)
    return f"{how}{since}: {reason}; {last}"


def _tables(said: Supervision | None, log: Log) -> Iterator[str]:
    head = ("table", "read", "due", "coverage", "rows", "gaps", "time")
    rows: list[tuple[str, ...]] = []
    if said is not None and said.tables:
        reading = {name for child in said.children for name in child.tables}
        rows += [_planned(each, reading=each.name in reading) for each in said.tables]
        planned = {each.name for each in said.tables}
        rows += [_signed(*each) for each in sorted(log.readings.items()) if each[0] not in planned and _is_off(each[1])]
    else:
        rows += [_signed(*each) for each in sorted(log.readings.items())]
    yield from columns([head, *rows], right=frozenset((4, 5, 6))) if rows else ["no table was read yet"]


def _planned(table: Table, *, reading: bool) -> tuple[str, ...]:
    """Return a table as the supervisor speaks of it."""
    return (
        printable(table.name),
        "never" if table.age_s is None else f"{_span(table.age_s)} ago",
        "reading" if reading else "now" if not table.due_in_s else f"in {_span(table.due_in_s)}",
        printable(table.coverage or "-"),
        *("-" if each is None else thousands(each) for each in (table.rows, table.gaps)),
        "-" if table.wall_ms is None else seconds(table.wall_ms),
    )


def _signed(name: str, last: LastReading) -> tuple[str, ...]:
    """Return a table as the log has it; one that is switched off was not read, though a snapshot names it."""
    state = last.state
    if _is_off(last):
        return name, "-", "-", state.coverage, "-", "-", "-"
    return name, last.wall, "-", state.coverage, *map(thousands, (state.rows, state.gaps)), seconds(state.cost.wall_ms)


def _is_off(last: LastReading) -> bool:
    return last.state.coverage == "disabled"


def _span(seconds_: float) -> str:
    """Return a time as people say it, in the largest unit of which there are two."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds_ >= 2 * size:
            return f"{seconds_ / size:.0f} {unit}"
    return f"{seconds_:.0f} s"
