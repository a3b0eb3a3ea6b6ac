"""What one stanza of dpkg's status file says; fields in deb-control(5), states in dpkg(1).

A database may hold twenty thousand stanzas of a kilobyte, and only their heads are wanted. What dpkg itself
writes has its fields in one order, so one expression reads it; another order is read field by field.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, get_args

from collectors.software.deb822 import StanzaError, fields

Wanted = Literal["unknown", "install", "hold", "deinstall", "purge"]
Flag = Literal["ok", "reinstreq"]
State = Literal[
    "not-installed",
    "config-files",
    "half-installed",
    "unpacked",
    "half-configured",
    "triggers-awaited",
    "triggers-pending",
    "installed",
]
WANTED: dict[str, Wanted] = {each: each for each in get_args(Wanted)}
FLAGS: dict[str, Flag] = {each: each for each in get_args(Flag)}
STATES: dict[str, State] = {each: each for each in get_args(State)}

# The names are those of lib/dpkg/parse.c, in its order, which is the order in which dpkg writes.
HEAD = re.compile(
    r"Package: ([a-z0-9][a-z0-9+.-]*)\n"
    r"(?:Essential: .*\n)?"
    r"(?:Protected: .*\n)?"
    # A package that is not installed has no version; it is read field by field.
    rf"Status: ({'|'.join(WANTED)}) ({'|'.join(FLAGS)}) ({'|'.join(list(STATES)[1:])})\n"
    r"(?:Priority: .*\n)?"
    r"(?:Section: .*\n)?"
    r"(?:Installed-Size: ([0-9]{1,15})\n)?"
    # A value that ends in a blank is read field by field, which takes the blank away.
    r"(?:Origin: (\S(?:.*\S)?)\n)?"
    r"(?:Maintainer: (\S(?:.*\S)?)\n)?"
    r"(?:Bugs: .*\n)?"
    r"Architecture: ([a-z0-9-]+)\n"
    r"(?:Multi-Arch: ([a-z]+)\n)?"
    r"(?:Source: ([a-z0-9][a-z0-9+.-]*)(?: \(([A-Za-z0-9.+~:-]+)\))?\n)?"
    r"Version: ([A-Za-z0-9.+~:-]+)\n"
    # A line that begins with a blank continues the one before: then the version is not all there yet.
    r"(?![ \t])"
)
FIELDS = frozenset(
    (
        "architecture",
        "installed-size",
        "maintainer",
        "multi-arch",
        "origin",
        "package",
        "source",
        "status",
        "version",
    )
)
NAME = re.compile(r"[a-z0-9][a-z0-9+._-]*")
LONGEST_NAME = 100  # of one that an error names
ARCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
# dpkg only warns about an odd character in an installed version; a space or slash would make it another's.
VERSION = re.compile(r"[!-.0-~]+")
SOURCE = re.compile(r"(\S+)(?:\s+\(([^()\s]+)\))?")
SIZE = re.compile(r"[0-9]{1,15}")


class Entry(NamedTuple):
    """What one stanza says, in dpkg's terms; None where the field is not there."""

    name: str
    wanted: Wanted | None
    flag: Flag | None
    """`ok`, or `reinstreq` for a package that is broken until it is installed again."""
    state: State | None
    size_kib: str | None
    origin: str | None
    maintainer: str | None
    arch: str | None
    multi_arch: str | None
    source: str | None
    source_version: str | None
    version: str


def parse_stanza(text: str) -> Entry:
    """Return what a stanza says; only a package that is not installed may be without a version (then empty).

    dpkg also lists a half-installed one without: that is an error, which names it, since a row has a version.
    Of a field given twice the first counts. Without a Status field, as in distroless images, the three parts
    of the status are None.
    Raises: StanzaError where a field that is read is not in its form, or the stanza is cut or holds a NUL.
    """
    if text[-1:] != "\n":
        raise StanzaError("a whole stanza with a newline at its end", "a cut one")
    if "\0" in text:
        raise StanzaError("text", "a NUL byte")
    head = HEAD.match(text)
    return _careful(fields(text, FIELDS)) if head is None else Entry._make(head.groups())


def _careful(said: dict[str, str]) -> Entry:
    wanted, flag, state = _status(said.get("status"))
    # dpkg takes upper case in a name and lowers it; lib/dpkg/pkg-db.c.
    name = _matching(NAME, said.get("package", "").lower(), "a package name in the field Package")
    version = said.get("version", "")
    if version or state != "not-installed":
        _matching(VERSION, version, f"a version in the field Version of {name[:LONGEST_NAME]}")
    source = _optional(SOURCE, said.get("source"), "a name and perhaps a version in the field Source")
    size = _optional(SIZE, said.get("installed-size"), "a number in the field Installed-Size")
    arch = _optional(ARCH, said.get("architecture"), "an architecture in the field Architecture")
    return Entry(
        name=name,
        wanted=wanted,
        flag=flag,
        state=state,
        size_kib=size and size[0],
        origin=said.get("origin") or None,
        maintainer=said.get("maintainer") or None,
        arch=arch and arch[0],
        multi_arch=said.get("multi-arch"),
        source=source and source[1],
        source_version=source and source[2],
        version=version,
    )


def _status(text: str | None) -> tuple[Wanted | None, Flag | None, State | None]:
    if text is None:
        return None, None, None
    words = text.lower().split()  # dpkg takes either case; f_status in lib/dpkg/fields.c
    try:
        wanted, flag, state = words
        return WANTED[wanted], FLAGS[flag], STATES[state]
    except (KeyError, ValueError):
        raise StanzaError("three known words in the field Status", "others") from None


def _matching(form: re.Pattern[str], value: str, expected: str) -> str:
    if not form.fullmatch(value):
        raise StanzaError(expected, "another form" if value else "none")
    return value


def _optional(form: re.Pattern[str], value: str | None, expected: str) -> re.Match[str] | None:
    """Return the match of a field that may be missing or empty, which to dpkg is the same."""
    if not value:
        return None
    found = form.fullmatch(value)
    if found is None:
        raise StanzaError(expected, "another form")
    return found
