"""Headers as rpm writes them into its database, byte by byte; and databases to put them in."""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from collectors.reading import rpm_files

CHAR, INT16, INT32, INT64, STRING, BINARY, STRING_ARRAY = 1, 3, 4, 5, 6, 7, 8
IMMUTABLE = 63
FORMS = {CHAR: ">B", INT16: ">H", INT32: ">I", INT64: ">Q"}

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
                store += (os.fsencode(value) if isinstance(value, str) else value) + b"\0"


@dataclass(frozen=True)
class File:
    """One file of a package."""

    path: str
    mode: int = 0o100755
    owner: str = "root"
    group: str = "root"
    state: int = 0


def file_lists(files: Sequence[File]) -> dict[int, Values]:
    """Return what a header says of files, their folders in the order in which they are first met."""
    parts = [each.path.rpartition("/") for each in files]
    folders = list(dict.fromkeys(folder + "/" for folder, *_ in parts))
    return {
        rpm_files.BASE_NAMES: (STRING_ARRAY, [name for *_, name in parts]),
        rpm_files.DIR_NAMES: (STRING_ARRAY, folders),
        rpm_files.DIR_INDEXES: (INT32, [folders.index(folder + "/") for folder, *_ in parts]),
        rpm_files.FILE_MODES: (INT16, [each.mode for each in files]),
        rpm_files.FILE_USERS: (STRING_ARRAY, [each.owner for each in files]),
        rpm_files.FILE_GROUPS: (STRING_ARRAY, [each.group for each in files]),
    }


def package_blob(name: str, files: Sequence[File]) -> bytes:
    """Return the header of an installed package with these files."""
    states: dict[int, Values] = {rpm_files.FILE_STATES: (CHAR, [each.state for each in files])}
    return header_blob({rpm_files.NAME: (STRING, [name]), **file_lists(files)}, added=states)


def database(path: Path, blobs: Sequence[bytes], *, schema: str = PACKAGES) -> Path:
    """Write an rpm database with these headers and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(schema)
        connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(blob,) for blob in blobs])
        connection.commit()
    return path
