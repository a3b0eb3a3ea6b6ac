"""What the supervisor says of itself in its status file; format in agent.daemon.reporting.

The file is the supervisor's word of a moment, and whoever may write to its folder can forge it: it is shown to people
and decides nothing.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

import msgspec

from agent.clocks import boottime_ms
from agent.daemon.reporting import HEAD, NAME
from agent.daemon.starting import LOCK
from agent.places import Places

LIMIT = 1 << 20
REPEATED = 2
"""A part that broke off once, for whatever reason, is started again to see; after that it is amiss."""


class Table(msgspec.Struct, frozen=True):
    """One table's place in the schedule. Ages and waits are in seconds; None: never read, or read just now."""

    name: str
    interval_s: int
    age_s: float | None
    due_in_s: float | None
    failures: int
    coverage: str | None
    rows: int | None
    gaps: int | None
    wall_ms: int | None
    cpu_ms: int | None
    peak_kib: int | None


class Process(msgspec.Struct, frozen=True):
    """A process of the service; tables it reads, or that it left unread."""

    what: str
    pid: int
    age_s: float | None
    tables: tuple[str, ...] = ()


class Supervision(msgspec.Struct):
    """All that the file says."""

    pid: int = 0
    age_s: float | None = None
    written_s: float | None = None
    """How long ago this was true."""
    parts: str = ""
    separation: str = ""
    plan: str = ""
    plan_problem: str | None = None
    signed: str | None = None
    held_s: float | None = None
    """Nothing can be signed: how long until that is tried again."""
    paused: str | None = None
    deliver_in_s: float | None = None
    watches: int = 0
    watches_wanted: bool = False
    overflows: int = 0
    watches_problem: str | None = None
    closed: dict[str, str] = {}
    tables: list[Table] = []
    children: list[Process] = []
    stuck: list[Process] = []
    failing: list[Process] = []
    """Parts that broke off each time they were started lately; `age_s` is how long ago the last time was."""


def is_running(where: Places) -> bool:
    """Return whether a supervisor holds the lock of these places; by its own word to whoever may not open that."""
    try:
        fd = os.open(os.path.join(where.run, LOCK), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except PermissionError:
        said = load(where)
        return said is not None and _is_process(said.pid)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _is_process(pid: int) -> bool:
    """Return whether there is a process of this number, whosever it is."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return pid > 0


def load(where: Places) -> Supervision | None:
    """Return what the supervisor said last; None if there is nothing that can be read as such."""
    try:
        fd = os.open(os.path.join(where.run, NAME), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            data = file.read(LIMIT)
    except OSError:
        return None
    return parse(data.decode("utf-8", "replace"), boottime_ms() / 1000)


def parse(text: str, now: float) -> Supervision | None:
    """Return what a status file says, None if it is none; `now` in seconds since boot. Odd lines are passed over."""
    head, *lines = text.split("\n")
    if head != HEAD:
        return None
    said = Supervision()
    for line in lines:
        words = line.split("\t")
        taken = list(_taken(said, words[0], words[1:], now)) if len(words) > 1 else []
        for name, value in taken:
            setattr(said, name, value)
    return said


def _taken(said: Supervision, word: str, rest: list[str], now: float) -> Iterator[tuple[str, object]]:
    """Yield the attributes that a line sets; what it adds to a list is added."""
    rest += [""] * 12
    if word == "process":
        yield from (("pid", _number(rest[0]) or 0), ("age_s", _since(rest[1], now)))
    elif word == "now":
        yield "written_s", _since(rest[0], now)
    elif word == "parts":
        yield from (("parts", rest[0]), ("separation", rest[1]))
    elif word == "plan":
        yield from (("plan", rest[0]), ("plan_problem", _given(rest[1])))
    elif word in {"signed", "paused"}:
        yield word, _given(rest[0])
    elif word in {"held", "deliver"}:
        yield {"held": "held_s", "deliver": "deliver_in_s"}[word], _until(rest[0], now)
    elif word == "watches":
        yield from (("watches_wanted", rest[0] == "1"), ("watches", _number(rest[1]) or 0))
        yield from (("overflows", _number(rest[2]) or 0), ("watches_problem", _given(rest[3])))
    else:
        _add(said, word, rest, now)


def _add(said: Supervision, word: str, rest: list[str], now: float) -> None:
    if word == "closed":
        said.closed = {**said.closed, rest[0]: rest[1]}
    elif word == "table":
        numbers = [_number(each) for each in rest[6:11]]
        ages = _since(rest[2], now), _until(rest[3], now)
        table = Table(rest[0], _number(rest[1]) or 0, *ages, _number(rest[4]) or 0, _given(rest[5]), *numbers)
        said.tables = [*said.tables, table]
    elif word == "child":
        tables = tuple(rest[3].split(",")) if _given(rest[3]) else ()
        said.children = [*said.children, Process(rest[0], _number(rest[1]) or 0, _since(rest[2], now), tables)]
    elif word == "stuck":
        said.stuck = [*said.stuck, Process("stuck", _number(rest[1]) or 0, _since(rest[2], now), (rest[0],))]
    elif word == "part" and (_number(rest[2]) or 0) >= REPEATED:
        said.failing = [*said.failing, Process(rest[0], 0, _since(rest[3], now))]


def _given(text: str) -> str | None:
    return None if text in ("-", "") else text


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None  # noqa: PLR2004  64 bits


def _seconds(text: str) -> float | None:
    whole, _, part = text.partition(".")
    return float(text) if _number(whole) is not None and (not part or _number(part) is not None) else None


def _since(text: str, now: float) -> float | None:
    moment = _seconds(text)
    return None if moment is None else max(0.0, now - moment)


def _until(text: str, now: float) -> float | None:
    moment = _seconds(text)
    return None if moment is None else max(0.0, moment - now)
