"""Retention: blobs of old entries are removed, the entries that named them stay.

A blob goes if only entries before a time name it, none of them the last collection of a table of its host. An entry
is as old as its place in the log says, not its clock alone. What goes is written down (`prune.json`), then signed as
an event, then removed; a removal that was interrupted is completed by the next writer, and one that was never signed
is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone

import msgspec

from evidence import restricted_json
from evidence.blobs import Blobs
from evidence.entry import SNAPSHOT
from evidence.errors import EvidenceError, StateError
from evidence.index import Row
from evidence.state import Folder

NAME = "prune.json"
PRUNED = "pruned"
RETENTION_DAYS = 400
_EXPLAINS = frozenset({PRUNED, "damage", "log-opened", "key-rotated"})
"""Events whose details say why something is not there; they are kept."""
_FAR = timedelta(days=31)
"""If the first entries of a log lie so far before the next, it began with a wrong clock, or was silent for long."""
_LIMIT = 64 * 1024 * 1024


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be removed once the event at this place is committed."""

    log: str
    sequence: int
    event: str
    digests: tuple[str, ...]


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """What the event of a removal says beyond its count."""

    digests: tuple[str, ...]


def wall(time: datetime) -> str:
    """Return a time as statements write it, to the second. Raises: StateError for one without a zone."""
    if time.tzinfo is None:
        raise StateError("time to prune before", "a time with its zone", "one without")
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def dated(rows: Iterable[Row], now: str) -> Iterator[tuple[Row, str]]:
    """Yield rows, oldest first, with the times they are taken to be of: later than true rather than earlier.

    A host without a clock of its own signs in the past until somebody tells it the time. But no entry is older than one
    in front of it; and what a log begins with, up to a leap of more than a month, is taken to be of behind the leap, if
    it is of less than a month itself. A time behind `now` says nothing; where nothing else does, it is "".
    """
    oldest = newest = ""
    first: list[tuple[Row, str]] = []
    beginning = True
    for row in rows:
        said = row.wall if row.wall <= now else ""
        leaps = _are_far(newest, said)
        if beginning and (leaps or _are_far(oldest, said)):
            yield from ((each, said if leaps else time) for each, time in first)
            beginning = False
        oldest, newest = oldest or said, max(newest, said)
        if beginning:
            first.append((row, newest))
        else:
            yield row, newest
    if beginning:
        yield from first


def _are_far(early: str, late: str) -> bool:
    return bool(early and late) and datetime.fromisoformat(late[:19]) - datetime.fromisoformat(early[:19]) > _FAR


def removable(rows: Iterable[Row], before: str, now: str) -> set[str]:
    """Return the blobs that entries before a time name and no other entry needs; rows come oldest first."""
    old: set[str] = set()
    needed: set[str] = set()
    last: dict[tuple[str, str], list[str]] = {}
    for row, time in dated(rows, now):
        for name, digests in row.names().items():
            # A time to the second sorts before the same one with milliseconds, up to its "Z".
            if not time or time[: len(before) - 1] >= before[:-1] or row.kind in _EXPLAINS:
                needed.update(digests)
            else:
                old.update(digests)
            if row.kind == SNAPSHOT and digests:
                last[row.host, name] = digests
    needed.update(digest for digests in last.values() for digest in digests)
    return old - needed


def pruned_by(row: Row, blobs: Blobs) -> frozenset[str]:
    """Return which blobs a `pruned` event took away; none if its details cannot be read any more."""
    if row.kind != PRUNED:
        return frozenset()
    (name,) = row.names()["event"]
    try:
        details = msgspec.convert(restricted_json.decode(blobs.get(name) or b""), Details)
    except (EvidenceError, msgspec.ValidationError):
        return frozenset()
    return frozenset(details.digests)


def intend(state: Folder, removal: Removal) -> None:
    """Write down what is going to be removed, durably."""
    state.replace(NAME, restricted_json.encode(removal) + b"\n")


def intended(state: Folder) -> Removal | None:
    """Return a removal that was not completed; one that cannot be read is forgotten."""
    try:
        data = state.read(NAME, _LIMIT)
    except FileNotFoundError:
        return None
    try:
        return msgspec.convert(restricted_json.decode(data), Removal)
    except (EvidenceError, msgspec.ValidationError):
        forget(state)
        return None


def complete(state: Folder, blobs: Blobs, removal: Removal) -> None:
    """Remove what an event was committed for."""
    blobs.remove(removal.digests)
    forget(state)


def forget(state: Folder) -> None:
    """Forget a removal: it is done, or was never signed."""
    state.remove(NAME)
    state.sync()


def chained(logs: Iterable[tuple[str, list[Row]]]) -> Iterator[Row]:
    """Yield the rows of logs one after the other."""
    for _, rows in logs:
        yield from rows
