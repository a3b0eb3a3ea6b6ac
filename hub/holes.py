"""Entries that a host has signed for and that never came: the first entry of a log names the log before it by its size.

A log is taken without the ones before it, since its first entry is all that it needs. So a log that was held back, by
whoever controls the host or the way, shows only here and to the auditor.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from evidence.entry import statement_of
from evidence.pack_range import moment
from evidence.predicates import Event
from hub.database import Database
from hub.registry import known_key, log_id_of
from hub.source import HostLog, HostSource

_CLONED = "cloned"
"""Why a log begins behind one of another machine."""


@dataclass(frozen=True)
class Hole:
    """Entries `first` to `size` - 1 of a log are not here; `following` is the log whose first entry names it."""

    log: str
    first: int
    size: int
    following: str
    begin: datetime | None
    """The clock of the last entry before it that is here, None if there is none."""
    end: datetime | None
    """The clock of the first entry behind it."""

    def touches(self, since: datetime, until: datetime) -> bool:
        """Return whether what is not here may be of `since` ≤ t < `until`; a clock may have run backwards."""
        known = [each for each in (self.begin, self.end) if each is not None]
        return (self.begin is None or min(known) < until) and (self.end is None or max(known) >= since)


def holes(database: Database, source: HostSource, host: int) -> list[Hole]:
    """Return what is not here of the logs that a host's logs follow, oldest first. Raises: DamageError."""
    found = []
    latest: str | None = None
    for log in source.logs():
        previous, size = _previous(database, source, log, host)
        here, last = _here(database, source, previous) if previous else (0, None)
        if previous and here < size:
            found.append(Hole(previous, here, size, log.id, _moment(last or latest), _moment(log.first_wall)))
        latest = max(filter(None, (latest, log.last_wall)), default=None)
    return found


def _previous(database: Database, source: HostSource, log: HostLog, host: int) -> tuple[str | None, int]:
    """Return id and size of the log that the first entry names as the one before; None if there is none of this host.

    Nothing is said by an entry that damage took; packs tell of that by themselves.
    """
    for entry in source.entries(log.id, 0, 1):
        said = None if entry.payload is None else statement_of(entry.payload)
        event = said.predicate.event if isinstance(said, Event) else {}
        if event.get("previous"):
            log_id = log_id_of(event["previous"]["origin"])
            if log_id and not (event.get("why") == _CLONED and _is_foreign(database, log_id, host)):
                return log_id, event["previous"]["size"]
    return None, 0


def _is_foreign(database: Database, log_id: str, host: int) -> bool:
    known = known_key(database, log_id.partition("-")[0])
    return known is None or known.host != host


def _here(database: Database, source: HostSource, log_id: str) -> tuple[int, str | None]:
    """Return how many entries of a log are here, and the clock of the last; it may be filed with another host."""
    for log in source.logs():  # as it stood when the pack was begun
        if log.id == log_id:
            return log.size, log.last_wall
    row = database.one("SELECT size, last_wall FROM logs WHERE id = ?", log_id)
    return (0, None) if row is None else (row["size"], row["last_wall"])


def _moment(wall: str | None) -> datetime | None:
    return None if wall is None else moment(wall)
