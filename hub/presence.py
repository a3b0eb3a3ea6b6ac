"""Who reports, who fell silent, who never came: from enrolments, the newest entries, and the list of who should.

A host calls itself by what name it likes, so several may have one. A line of the list is a name, or a name and one of
the host's keys: then it speaks of that host alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from evidence.errors import FormatError
from evidence.keys import PublicKey
from hub.database import Database

State = Literal["reporting", "silent", "never"]
SILENT_S = 24 * 3600
MAX_NAME = 255
MAX_NAMES = 100_000
_WITH_KEY = re.compile(r"(.+) (SHA256:[A-Za-z0-9+/]{43})\Z")


class HostState(msgspec.Struct, frozen=True, kw_only=True):
    """A host as the hub sees it; times are POSIX seconds, walls the host's own clock."""

    name: str
    state: State
    expected: bool
    """Whether it should report: it is on the list or, if there is none, it is enrolled."""
    listed: bool = False
    """Whether it is on the list."""
    host: int | None = None
    """None if it is on the list only."""
    fingerprint: str | None = None
    """Of the newest key."""
    enrolled: int | None = None
    seen: int | None = None
    last_wall: str | None = None
    logs: int = 0
    size: int = 0
    """Entries in all logs."""
    gaps: int = 0
    """Events that tell of an absence or damage."""
    missing: int = 0
    """Blobs that were named and have not come."""
    forks: int = 0

    def called(self, *, alone: bool) -> str:
        """Return what no other host is called, given whether its name is its alone: a line of the list."""
        plain = self.host is None or (alone and not _WITH_KEY.match(self.name))
        return self.name if plain else f"{self.name} {self.fingerprint}"


_HOSTS = """
SELECT hosts.id AS host, hosts.name, hosts.enrolled, hosts.seen,
    (SELECT count(*) FROM logs WHERE host = hosts.id AND size > 0) AS logs,
    (SELECT coalesce(sum(size), 0) FROM logs WHERE host = hosts.id) AS size,
    (SELECT coalesce(sum(gaps), 0) FROM logs WHERE host = hosts.id) AS gaps,
    (SELECT max(last_wall) FROM logs WHERE host = hosts.id) AS last_wall,
    (SELECT count(*) FROM missing JOIN logs ON logs.number = missing.log WHERE logs.host = hosts.id) AS missing,
    (SELECT count(*) FROM forks JOIN keys ON keys.id16 = substr(forks.log, 1, 16) WHERE keys.host = hosts.id) AS forks
FROM hosts ORDER BY hosts.name, hosts.id
"""
_KEYS = "SELECT raw FROM keys WHERE host = ? ORDER BY how = 'history', since DESC, rowid DESC"


def parse_list(text: str, where: str) -> list[str]:
    """Return the lines of a list, a name or a name and a key each; what begins with # is passed over.

    Raises: FormatError.
    """
    names = [line.strip() for line in text.split("\n")]
    names = [each for each in names if each and not each.startswith("#")]
    if len(names) > MAX_NAMES or any(not _is_line(each) for each in names):
        expected = f"at most {MAX_NAMES} names of printable characters, {MAX_NAME} each, one a line"
        raise FormatError(where, expected, "another text")
    return sorted(set(names))


def _is_line(text: str) -> bool:
    found = _WITH_KEY.match(text)
    return text.isprintable() and len(text if found is None else found[1]) <= MAX_NAME


def expect(database: Database, names: Iterable[str]) -> None:
    """Replace the list of hosts that should report; an empty one means all that are enrolled."""
    with database.transaction() as connection:
        connection.execute("DELETE FROM expected")
        connection.executemany("INSERT INTO expected (name) VALUES (?)", [(each,) for each in names])


def expected(database: Database) -> list[str]:
    """Return the list, sorted."""
    return [row["name"] for row in database.all("SELECT name FROM expected ORDER BY name")]


def hosts(database: Database, now: int, silent_s: int = SILENT_S) -> list[HostState]:
    """Return every host that is enrolled or expected, by name."""
    lines = set(expected(database))
    met: set[str] = set()
    found = []
    for row in database.all(_HOSTS):
        keys = [PublicKey(each["raw"]).fingerprint for each in database.all(_KEYS, row["host"])]
        listed = _lines_of(row["name"], keys) & lines
        met |= listed
        silent = row["seen"] is None or now - row["seen"] > silent_s
        state: State = "never" if row["seen"] is None else "silent" if silent else "reporting"
        found.append(
            HostState(
                state=state,
                expected=not lines or bool(listed),
                listed=bool(listed),
                fingerprint=keys[0] if keys else None,
                **dict(row),
            )
        )
    found += [HostState(name=line, state="never", expected=True, listed=True) for line in lines - met]
    return sorted(found, key=lambda each: (each.name, each.host or 0))


def _lines_of(name: str, keys: list[str]) -> set[str]:
    """Return the lines that speak of a host; a name that looks like one with a key is none."""
    lines = {f"{name} {each}" for each in keys}
    return lines if _WITH_KEY.match(name) else {name, *lines}
