"""The index: where each entry stands and what it names, in SQLite, rebuilt from the segments at any time.

Nothing in it is believed for its own sake. Each row carries a hash of itself, the leaves must give the root of the
signed checkpoint, and what a row points at is checked by the hash in its frame. It is not synced: a power cut may
cost the file, never an entry. The writer alone uses it, under its lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from evidence.errors import DamageError
from evidence.state import Folder

NAME = "index.sqlite"
SIDE_FILES = tuple(NAME + each for each in ("-wal", "-journal", "-shm"))
_VERSION = 2
_CHECK_BYTES = 16
_SCHEMA = f"""
CREATE TABLE entries (log TEXT, sequence INTEGER, row BLOB, sum BLOB, PRIMARY KEY (log, sequence)) WITHOUT ROWID;
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
"""


class Row(msgspec.Struct, frozen=True, array_like=True):
    """One entry: its place in a segment and what prune asks of it.

    `host` tells whose tables they are, since an image that was read is not this host; `packed` is what `names`
    unpacks. A lost entry has the kind `lost`.
    """

    segment: int
    offset: int
    length: int
    leaf: bytes
    wall: str
    kind: str
    host: str
    packed: bytes

    def names(self) -> dict[str, list[str]]:
        """Return the blobs the entry names, by table, or by subject for an event."""
        return {name: [each.hex() for each in digests] for name, digests in _unpack(self.packed).items()}

    def digests(self) -> set[bytes]:
        """Return all of them as 32 bytes each."""
        return {digest for digests in _unpack(self.packed).values() for digest in digests}


def pack(names: Mapping[str, Iterable[str]]) -> bytes:
    """Return the blobs an entry names as a row keeps them: ten thousand rows must fit into a little memory."""
    return msgspec.msgpack.encode({name: [bytes.fromhex(each) for each in names[name]] for name in names})


_unpack = msgspec.msgpack.Decoder(dict[str, list[bytes]]).decode


class Index:
    """The open database. Raises sqlite3.Error and DamageError: either way it is to be thrown away and rebuilt."""

    def __init__(self, state: Folder) -> None:
        os.close(state.open(NAME, os.O_RDWR | os.O_CREAT))
        self._base = sqlite3.connect(state.where(NAME), timeout=0, isolation_level=None)
        try:
            self._prepare()
        except BaseException:
            self._base.close()
            raise

    def _prepare(self) -> None:
        # We hold the writer's lock, so SQLite needs no shared memory; unsynced pages are checked by their sums.
        self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = OFF")
        (version,) = self._base.execute("PRAGMA user_version").fetchone()
        if version != _VERSION:  # new, or another version's: it is rebuilt like one that is missing
            drop = "DROP TABLE IF EXISTS entries; DROP TABLE IF EXISTS notes;"
            self._base.executescript(f"BEGIN; {drop} {_SCHEMA} COMMIT;")

    def close(self) -> None:
        """Close the database; what was not written is found again in the segments."""
        with contextlib.suppress(sqlite3.Error):
            self._base.close()

    def rows(self, log: str) -> Iterator[Row]:
        """Yield the rows of a log from sequence 0 on, each checked."""
        query = "SELECT sequence, row, sum FROM entries WHERE log = ? ORDER BY sequence"
        for expected, (sequence, row, check) in enumerate(self._base.execute(query, (log,))):
            if sequence != expected or not isinstance(row, bytes) or check != _sum(log, sequence, row):
                raise DamageError(NAME, f"row {expected} as it was written", "another")
            yield _decode_row(row)

    def add(self, log: str, first: int, rows: Iterable[Row]) -> None:
        """Add rows from a sequence on, replacing what stood there and behind."""
        encoded = ((first + at, msgspec.msgpack.encode(row)) for at, row in enumerate(rows))
        self._base.execute("BEGIN")
        try:
            self._base.execute("DELETE FROM entries WHERE log = ? AND sequence >= ?", (log, first))
            self._base.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?)",
                ((log, sequence, row, _sum(log, sequence, row)) for sequence, row in encoded),
            )
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._base.execute("ROLLBACK")
            raise
        self._base.execute("COMMIT")

    def note(self, name: str) -> str | None:
        """Return a remembered hint, such as how far the patrol came."""
        found = self._base.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else None

    def remember(self, name: str, value: str) -> None:
        """Remember a hint that is safe to lose."""
        self._base.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))


_row_decoder = msgspec.msgpack.Decoder(Row)


def _decode_row(row: bytes) -> Row:
    try:
        return _row_decoder.decode(row)
    except msgspec.DecodeError:
        raise DamageError(NAME, "rows of this version", "others") from None


def _sum(log: str, sequence: int, row: bytes) -> bytes:
    return hashlib.sha256(b"%s %d " % (log.encode(), sequence) + row).digest()[:_CHECK_BYTES]
