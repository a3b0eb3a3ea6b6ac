"""Headers out of an rpm database in SQLite format, taken as a hostile file: only one table is read, by one query.

The database is a private copy (the caller's), so SQLite may replay a write-ahead log or roll back a journal in
it; statements still cannot write. Source: rpm's lib/backend/sqlite.c, and sqlite.org/security.html.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from collectors.contract import Reason

STEPS = 100_000
MOST_STEPS = 100_000_000
"""Instructions of SQLite's machine for a whole database; 250,000 packages take about three million."""

PRAGMAS = ("trusted_schema=OFF", "cell_size_check=ON", "query_only=ON", "mmap_size=0", "temp_store=MEMORY")
SCHEMA = "SELECT type, rootpage FROM sqlite_master WHERE name = 'Packages'"
COLUMNS = "PRAGMA main.table_xinfo(Packages)"
HEADERS = """
SELECT hnum, length(blob), CASE WHEN length(blob) <= ? THEN blob END FROM main.Packages ORDER BY hnum LIMIT ?
"""


class Record(NamedTuple):
    """One record of the table Packages."""

    number: int
    size_bytes: int
    header: bytes | None
    """None if it is larger than was asked for."""


class DatabaseError(Exception):
    """The database cannot be read, or not further. Its message never quotes SQLite's, which may quote the file."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason


def records(copy: str, *, most_bytes: int, most: int) -> Iterator[Record]:
    """Yield the records in order of installation, headers of at most `most_bytes`, `most` in all.

    Raises: DatabaseError `malformed` if it is no such database or damaged, `timed_out` if it takes more steps
    than an honest one; records before that have been yielded.
    """
    spent = 0

    def step() -> bool:
        nonlocal spent
        spent += STEPS
        return spent > MOST_STEPS

    try:
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.text_factory = bytes
            connection.set_progress_handler(step, STEPS)
            for pragma in PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            connection.set_authorizer(_only_packages)
            _check_schema(connection)
            for number, size, header in connection.execute(HEADERS, (most_bytes, most)):
                if not (isinstance(number, int) and isinstance(size, int) and isinstance(header, bytes | None)):
                    raise DatabaseError("malformed", "expected a number and a header in each record, found others")
                yield Record(number, size, header)
    except sqlite3.Error as error:
        if spent > MOST_STEPS:
            raise DatabaseError("timed_out", f"SQLite took more than {MOST_STEPS} steps") from None
        raise DatabaseError("malformed", f"SQLite cannot read it ({type(error).__name__})") from None


def _check_schema(connection: sqlite3.Connection) -> None:
    """Refuse a view, a virtual table and a column that computes itself: reading one runs what a stranger wrote."""
    found = connection.execute(SCHEMA).fetchall()
    columns = {name: hidden for _, name, *_, hidden in connection.execute(COLUMNS)}
    plain = len(found) == 1 and found[0][0] == b"table" and bool(found[0][1])
    if not plain or columns != {b"hnum": 0, b"blob": 0}:
        raise DatabaseError("malformed", "expected a plain table Packages of hnum and blob, found something else")


def _only_packages(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """Allow what the statements above need, and nothing else."""
    allowed = (
        action == sqlite3.SQLITE_SELECT
        or (action == sqlite3.SQLITE_READ and first in {"Packages", "sqlite_master"})
        or (action == sqlite3.SQLITE_FUNCTION and second == "length")
        or (action == sqlite3.SQLITE_PRAGMA and first == "table_xinfo")
    )
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
