"""Which package dpkg says a file belongs to: info/*.list, diversions and statoverride.

Source: dpkg-query(1) on --search, dpkg-divert(1), dpkg-statoverride(1).
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec


class Diversion(msgspec.Struct, frozen=True):
    """One line triple of dpkg's diversions: what stands where another package's file would be."""

    original: str
    moved_to: str
    by: str
    """The package whose own file stays at `original`; ":" for an administrator's local diversion."""


def parse_diversions(data: bytes) -> tuple[Diversion, ...]:
    """Return the diversions; each is three lines: from, to, package. An unfinished last one is left out."""
    lines = os.fsdecode(data).split("\n")
    triples = (lines[at : at + 3] for at in range(0, len(lines) - 3, 3))
    return tuple(Diversion(original, to, by.partition(":")[0] or by) for original, to, by in triples)


def parse_overrides(data: bytes) -> dict[str, tuple[str, str, int]]:
    """Return (owner, group, mode) by path of dpkg's statoverride; an id may stand there as `#0`."""
    found = {}
    for line in os.fsdecode(data).split("\n"):
        fields = line.split(" ", 3)
        if len(fields) == 4 and fields[2] and set(fields[2]) <= set("01234567"):  # noqa: PLR2004  owner, group, mode, path
            found[fields[3]] = (fields[0], fields[1], int(fields[2], 8))
    return found


def in_lists(names: Iterable[str], moved: Iterable[Diversion]) -> set[str]:
    """Return the names to look for in the lists, which name a moved file as it was."""
    wanted = set(names)
    return wanted | {each.original for each in moved if each.moved_to in wanted}


def dpkg_owner(name: str, shipped: dict[str, set[str]], moved: tuple[Diversion, ...]) -> str | None:
    """Return the package a file belongs to, from the packages whose lists name it and what was moved."""
    for each in moved:
        if name == each.moved_to:
            original = shipped.get(each.original, set()) - {each.by}
            return min(original) if original else None
        if name == each.original:
            return each.by if each.by in shipped.get(name, set()) else None
    owners = shipped.get(name)
    return min(owners) if owners else None
