"""Retention: blobs of old entries are removed, the entries that named them stay.

A blob goes if only entries before a time name it, none of them the last collection of a table of its host. What
goes is written down (`prune.json`), then signed as an event, then removed; a removal that was interrupted is
completed by the next writer, and one that was never signed is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timezone

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


def removable(rows: Iterable[Row], before: str) -> set[str]:
    """Return the blobs that entries before a time name and no other entry needs; rows come oldest first."""
    old: set[str] = set()
    needed: set[str] = set()
    last: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for name, digests in row.names().items():
            # A time to the second sorts before the same one with milliseconds, up to its "Z".
            if row.wall[: len(before) - 1] >= before[:-1] or row.kind in _EXPLAINS:
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
