"""Headers as rpm writes them into its database, byte by byte; and databases to put them in."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

INT32, INT64, STRING, BINARY = 4, 5, 6, 7
IMMUTABLE = 63
FORMS = {INT32: ">I", INT64: ">Q"}

Values = tuple[int, Sequence[int | str | bytes]]

PACKAGES = "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL)"


def header_blob(said: Mapping[int, Values], *, added: Mapping[int, Values] | None = None) -> bytes:
    """Return a header whose region covers what is said; what is added stands behind it, as at install time."""
    index: list[tuple[int, int, int, int]] = []
    store = bytearray()
    _put(said, index, store)
    region = len(store)
    covered = len(index) + 1
    store += struct.pack(">IIiI", IMMUTABLE, BINARY, -16 * covered, 16)
    _put(added or {}, index, store)
    entries = [(IMMUTABLE, BINARY, region, 16), *index]
    packed = b"".join(struct.pack(">IIiI", *entry) for entry in entries)
    return struct.pack(">II", len(entries), len(store)) + packed + bytes(store)


def _put(said: Mapping[int, Values], index: list[tuple[int, int, int, int]], store: bytearray) -> None:
    for tag, (kind, values) in said.items():
        if kind in FORMS:
            store += b"\0" * (-len(store) % struct.calcsize(FORMS[kind]))
        index.append((tag, kind, len(store), len(values)))
        for value in values:
            if isinstance(value, int):
                store += struct.pack(FORMS[kind], value)
            else:
                store += (value.encode() if isinstance(value, str) else value) + b"\0"


def database(path: Path, blobs: Sequence[bytes], *, schema: str = PACKAGES) -> Path:
    """Write an rpm database with these headers and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(schema)
        connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(blob,) for blob in blobs])
        connection.commit()
    return path
