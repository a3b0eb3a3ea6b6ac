"""Which of some wanted files an rpm package installed, with the mode and owners it gave them.

A header lists its files as names, each with the number of its folder in a second list; rpm adds the state of each
when it installs the package. Packages of rpm 3 and older list whole paths.
Source: rpm's docs/manual/tags.md, and rpmdbFindByFile in lib/rpmdb.c, which is what `rpm -qf` asks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

import msgspec

from collectors.contract import MalformedError
from collectors.reading.rpm_header import Header

T = TypeVar("T")

NAME = 1000
OLD_FILE_NAMES, FILE_STATES, FILE_MODES, FILE_USERS, FILE_GROUPS = 1027, 1029, 1030, 1039, 1040
DIR_INDEXES, BASE_NAMES, DIR_NAMES = 1116, 1117, 1118

# Normal, and on a shared file system that another host fills. Not: replaced by another package's file, left out by
# an option such as --nodocs, and of the other architecture where two packages ship one path.
INSTALLED = frozenset((0, 3))
MOST_FOLDERS = 100_000


class PackagedFile(NamedTuple):
    """One file as a package installed it."""

    path: str
    package: str
    owner: str
    group: str
    mode: int
    """As st_mode: permission bits, and what kind of file it is."""


class Wanted(msgspec.Struct, frozen=True):
    """The paths to look for, and their parts: most headers hold none of them, which their folders tell."""

    paths: frozenset[bytes]
    folders: frozenset[bytes]
    names: frozenset[bytes]


def wanted_files(paths: Iterable[str]) -> Wanted:
    """Return what `packaged_files` looks for; paths as `os.fsdecode` gives them."""
    raw = frozenset(map(os.fsencode, paths))
    parts = [path.rpartition(b"/") for path in raw]
    folders = frozenset(folder + slash for folder, slash, _ in parts)
    return Wanted(raw, folders, frozenset(name for *_, name in parts))


def packaged_files(header: Header, wanted: Wanted) -> Iterator[PackagedFile]:
    """Yield the wanted files that the package of a header installed.

    Memory: as the number of wanted files and folders, not of those in the header.
    Raises: MalformedError, when it comes to it, if a list is shorter than another or not of its type.
    """
    for number, path in _listed(header, wanted):
        if header.number(FILE_STATES, number) in {None, *INSTALLED}:  # without states rpm takes all as installed
            yield PackagedFile(
                path=os.fsdecode(path),
                package=_present(header.text(NAME), NAME),
                owner=_present(header.text(FILE_USERS, number), FILE_USERS),
                group=_present(header.text(FILE_GROUPS, number), FILE_GROUPS),
                mode=_present(header.number(FILE_MODES, number), FILE_MODES),
            )


def _listed(header: Header, wanted: Wanted) -> Iterator[tuple[int, bytes]]:
    """Yield number and path of the wanted files that a header lists."""
    if not header.count(BASE_NAMES):
        yield from ((number, path) for number, path in enumerate(header.texts(OLD_FILE_NAMES)) if path in wanted.paths)
        return
    folders = _folders(header, wanted)
    if not folders:
        return
    for number, name in enumerate(header.texts(BASE_NAMES)):
        if name in wanted.names:
            folder = folders.get(_folder_number(header, number))
            if folder is not None and folder + name in wanted.paths:
                yield number, folder + name


def _folders(header: Header, wanted: Wanted) -> dict[int, bytes]:
    """Return the wanted folders by their number in a header."""
    if header.count(DIR_NAMES) > MOST_FOLDERS:
        raise MalformedError(f"at most {MOST_FOLDERS} folders", f"{header.count(DIR_NAMES)}")
    return {number: folder for number, folder in enumerate(header.texts(DIR_NAMES)) if folder in wanted.folders}


def _folder_number(header: Header, number: int) -> int:
    folder = _present(header.number(DIR_INDEXES, number), DIR_INDEXES)
    if folder >= header.count(DIR_NAMES):
        raise MalformedError(f"one of {header.count(DIR_NAMES)} folders for file {number + 1}", f"{folder + 1}")
    return folder


def _present(value: T | None, tag: int) -> T:
    if value is None:
        raise MalformedError(f"a value at tag {tag}", "none")
    return value
