"""The logs of a state in the order they followed each other: each first entry names the log before it."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any

from evidence import segment
from evidence.dsse import MAX_ENVELOPE
from evidence.entry import payload_of, statement_of
from evidence.errors import DamageError
from evidence.predicates import Event
from evidence.state import Folder, read_all
from evidence.writer import SEGMENTS

_LOG_ID = re.compile(r"([0-9a-f]{16})-([1-9][0-9]{0,14})\Z")
_FIRST_BYTES = 2 * segment.MAX_HEADER + MAX_ENVELOPE


def origin_of(log_id: str) -> str:
    """Return the origin of the log in a folder."""
    key, _, epoch = log_id.partition("-")
    return f"evidenced/{key}/{epoch}"


def id_of(origin: str) -> str:
    """Return the folder name of the log of an origin."""
    return origin.removeprefix("evidenced/").replace("/", "-")


def is_log_id(name: str) -> bool:
    """Return whether a name is one that the folder of a log has."""
    return _LOG_ID.match(name) is not None


def log_ids(logs: Folder) -> list[str]:
    """Return the logs, oldest first; of those whose first entry is lost or names none, the earlier clock wins."""
    opened = {each: _opened(logs, each) for each in logs.names() if is_log_id(each)}
    by_clock = sorted(opened, key=lambda each: (opened[each][0], _epoch(each)))
    known: list[str] = []

    def follow(log: str) -> None:
        known.append(log)
        for each in by_clock:
            if each not in known and opened[each][1] == log:
                follow(each)

    for each in by_clock:
        if each not in known and opened[each][1] not in opened:
            follow(each)
    return known + [each for each in by_clock if each not in known]


def _epoch(log_id: str) -> int:
    return int(log_id.partition("-")[2])


def _opened(logs: Folder, log_id: str) -> tuple[str, str | None]:
    """Return the clock in the first entry that can be read, and the log that comes before by its word."""
    body = _first_body(logs, log_id)
    try:
        statement = None if body is None else statement_of(payload_of(body))
    except DamageError:
        statement = None
    if statement is None:
        return "", None
    previous: Any = statement.predicate.event.get("previous") if isinstance(statement, Event) else None
    origin = previous.get("origin") if isinstance(previous, dict) else None
    return statement.predicate.clock.wall, id_of(origin) if isinstance(origin, str) else None


def _first_body(logs: Folder, log_id: str) -> bytes | None:
    with contextlib.ExitStack() as stack:
        log = logs.folder(log_id)
        stack.callback(log.close)
        if log.facts(SEGMENTS) is None:
            return None
        segments = log.folder(SEGMENTS)
        stack.callback(segments.close)
        firsts = (segment.first_of(name) for name in segments.names())
        bodies = (_first_in(segments, log_id, first) for first in firsts if first is not None)
        return next((body for body in bodies if body is not None), None)


def _first_in(segments: Folder, log_id: str, first: int) -> bytes | None:
    """Return the body of the first whole entry near the beginning of a segment."""
    descriptor = segments.open(segment.name_of(first), os.O_RDONLY)
    try:
        data = read_all(descriptor, _FIRST_BYTES)
    finally:
        os.close(descriptor)
    start = segment.body_start(data, origin_of(log_id), first, segments.where(segment.name_of(first)))
    frames = (each for each in segment.frames(data, first, start or 0) if isinstance(each, segment.Frame))
    return next((each.body for each in frames if each.lost_leaf is None), None)
