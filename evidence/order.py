"""The logs of a state in the order they followed each other: each first entry names the log before it."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any, NamedTuple

from evidence import segment
from evidence.dsse import MAX_ENVELOPE
from evidence.entry import payload_of, statement_of
from evidence.errors import DamageError
from evidence.predicates import Event
from evidence.state import Folder, read_all
from evidence.writer import SEGMENTS

_LOG_ID = re.compile(r"([0-9a-f]{16})-([1-9][0-9]{0,14})\Z")
_NEVER = "~"
"""Sorts behind every time."""
_FIRST_BYTES = 2 * segment.MAX_HEADER + MAX_ENVELOPE


class _Opened(NamedTuple):
    """The clock in the first entry that can be read, and the log that came before by its word."""

    wall: str | None
    previous: str | None


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


def log_ids(logs: Folder, current: str | None = None) -> list[str]:
    """Return every log, oldest first; `current` is the one that goes on, which is the newest.

    A chain is a log and those that follow it by the word of their first entries; chains stand by the first clock
    that can be read in them, and one of which nothing can be read any more stands behind them.
    """
    opened = {each: _opened(logs, each) for each in logs.names() if is_log_id(each)}
    by_clock = sorted(opened, key=lambda each: (opened[each].wall or _NEVER, _epoch(each)))
    chains = [_chain(each, by_clock, opened) for each in by_clock if opened[each].previous not in opened]
    chains.sort(key=lambda chain: (current in chain, min(opened[each].wall or _NEVER for each in chain)))
    known = [each for chain in chains for each in chain]
    known += [each for each in by_clock if each not in known]  # a ring, which no writer makes
    return [each for each in known if each != current] + [each for each in known if each == current]


def _chain(log: str, by_clock: list[str], opened: dict[str, _Opened]) -> list[str]:
    """Return a log and all that follow it, each before those that follow it."""
    chain: list[str] = []
    waiting = [log]
    while waiting:
        at = waiting.pop()
        chain.append(at)
        waiting += [each for each in reversed(by_clock) if opened[each].previous == at and each not in chain]
    return chain


def _epoch(log_id: str) -> int:
    return int(log_id.partition("-")[2])


def _opened(logs: Folder, log_id: str) -> _Opened:
    """Return how a log was opened, as far as its first readable entry tells."""
    body = _first_body(logs, log_id)
    try:
        statement = None if body is None else statement_of(payload_of(body))
    except DamageError:
        statement = None
    if statement is None:
        return _Opened(None, None)
    previous: Any = statement.predicate.event.get("previous") if isinstance(statement, Event) else None
    origin = previous.get("origin") if isinstance(previous, dict) else None
    return _Opened(statement.predicate.clock.wall, id_of(origin) if isinstance(origin, str) else None)


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
