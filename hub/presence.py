"""Who reports, who fell silent, who never came: from enrolments, the newest entries, and the list of who should."""

from __future__ import annotations

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
_KEY = "SELECT raw FROM keys WHERE host = ? AND how != 'history' ORDER BY since DESC, rowid DESC LIMIT 1"


def parse_list(text: str, where: str) -> list[str]:
    """Return the host names of a list, one a line; what begins with # is passed over. Raises: FormatError."""
    names = [line.strip() for line in text.split("\n")]
    names = [each for each in names if each and not each.startswith("#")]
    if len(names) > MAX_NAMES or any(len(each) > MAX_NAME or not each.isprintable() for each in names):
        expected = f"at most {MAX_NAMES} names of printable characters, {MAX_NAME} each, one a line"
        raise FormatError(where, expected, "another text")
    return sorted(set(names))


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
    listed = set(expected(database))
    found = []
    for row in database.all(_HOSTS):
        key = database.one(_KEY, row["host"])
        silent = row["seen"] is None or now - row["seen"] > silent_s
        state: State = "never" if row["seen"] is None else "silent" if silent else "reporting"
        found.append(
            HostState(
                state=state,
                expected=not listed or row["name"] in listed,
                listed=row["name"] in listed,
                fingerprint=None if key is None else PublicKey(key["raw"]).fingerprint,
                **dict(row),
            )
        )
    absent = listed - {each.name for each in found}
    found += [HostState(name=name, state="never", expected=True, listed=True) for name in absent]
    return sorted(found, key=lambda each: (each.name, each.host or 0))
