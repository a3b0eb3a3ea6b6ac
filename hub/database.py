"""What the hub knows, in one SQLite file: hosts, keys, logs, entries, receipts, tokens.

Write-ahead log with full sync: what a transaction wrote is on disk when it returns. Blobs are files beside it
(`hub.blob_files`), written and synced before the transaction that needs them.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

from evidence.errors import NewerStateError, StateError

VERSION = 1
_BUSY_S = 30.0
_CACHE_KIB = 16 * 1024

_SCHEMA = """
CREATE TABLE hosts (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    enrolled INTEGER NOT NULL,           -- POSIX seconds, as all times here
    seen INTEGER                         -- when a batch was last taken
);
CREATE TABLE keys (
    id16 TEXT PRIMARY KEY,               -- 16 hex digits of the key's hash, as in origins
    raw BLOB NOT NULL,
    host INTEGER NOT NULL REFERENCES hosts,
    how TEXT NOT NULL,                   -- enrolled, rotated (named by its predecessor) or history (by its successor)
    since INTEGER NOT NULL
);
CREATE TABLE logs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL REFERENCES keys,
    host INTEGER NOT NULL REFERENCES hosts,
    size INTEGER NOT NULL,               -- all entries below it are stored
    frontier BLOB NOT NULL,              -- roots of the full subtrees, left to right
    note BLOB,                           -- as acknowledged last; null before the first batch
    sshsig TEXT,
    protection TEXT NOT NULL,
    previous TEXT,                       -- origin of the log before it, by its first entry
    first_wall TEXT,
    last_wall TEXT,
    gaps INTEGER NOT NULL,               -- events with an absence, and damage
    witness_size INTEGER NOT NULL,       -- what the witness key has cosigned last
    witness_note BLOB
);
CREATE TABLE pieces (
    log INTEGER NOT NULL REFERENCES logs,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    leaves BLOB NOT NULL,                -- 32 bytes each
    envelopes BLOB NOT NULL,             -- zlib; a line each, empty where damage took the entry
    PRIMARY KEY (log, first)
);
CREATE TABLE receipts (
    digest TEXT PRIMARY KEY,             -- of the batch as it was sent
    log INTEGER NOT NULL REFERENCES logs,
    first INTEGER NOT NULL,
    size INTEGER NOT NULL,
    note BLOB NOT NULL,
    time INTEGER NOT NULL
);
CREATE TABLE missing (
    log INTEGER NOT NULL REFERENCES logs,
    digest TEXT NOT NULL,                -- a blob that entries name and that has not come
    PRIMARY KEY (log, digest)
) WITHOUT ROWID;
CREATE TABLE forks (
    id INTEGER PRIMARY KEY,
    log TEXT NOT NULL,
    time INTEGER NOT NULL,
    folder TEXT NOT NULL UNIQUE
);
CREATE TABLE tokens (
    id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,           -- SHA-256; the token itself is shown once and kept nowhere
    label TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    uses INTEGER,                        -- how often it may still enrol a new key; null: any number
    revoked INTEGER
);
CREATE TABLE expected (name TEXT PRIMARY KEY);
"""


class Database:
    """Connections to the one file, one for each thread that asks; the transactions of a process follow each other."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._threads = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        self._listing = threading.Lock()
        with self.transaction() as connection:
            _check_version(connection, path)

    def close(self) -> None:
        """Close every connection; no thread may use one any more."""
        with self._listing:
            for each in self._open:
                each.close()
            self._open.clear()

    @property
    def reading(self) -> sqlite3.Connection:
        """Return this thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._connect()
            self._threads.connection = connection
        return connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside a transaction that is on disk when the block ends, or never was."""
        connection = self.reading
        with self._writing:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # some errors have rolled it back already
                    connection.execute("ROLLBACK")
                raise

    def one(self, query: str, *values: Any) -> sqlite3.Row | None:
        """Return the first row of a query, None if there is none."""
        row: sqlite3.Row | None = self.reading.execute(query, values).fetchone()
        return row

    def all(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self.reading.execute(query, values).fetchall()

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        except sqlite3.Error as error:
            raise StateError(self._path, "a database of the hub", f"{error}".lower()) from error
        with self._listing:
            self._open.append(connection)
        return connection


def _check_version(connection: sqlite3.Connection, path: str) -> None:
    """Make the tables of a new database; refuse one of a later version."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise NewerStateError(path, f"a database of version {VERSION}", f"version {version}", "use the newer hub")
    if version == 0:
        for each in _SCHEMA.split(";\n"):
            if each.strip():
                connection.execute(each)
        connection.execute(f"PRAGMA user_version = {VERSION}")
