"""What the tables want to be shown, put together into one question that is asked of each entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from collectors.reading.facts import Facts

MIB = 1 << 20


class Interest(msgspec.Struct, frozen=True):
    """What a table wants to be shown. An entry is shown if any of the conditions holds."""

    name: str
    mode_any: int = 0
    """Show what has any of these bits in st_mode (S_ISUID, S_ISGID, S_IWOTH ...); a link's own bits mean nothing."""
    capabilities: bool = False
    """Show files with a security.capability attribute; asked only of those that somebody may execute."""
    ownerless: bool = False
    """Show what belongs to a uid or gid that the host's own passwd and group do not know."""
    names: frozenset[str] = frozenset()
    """Show what has exactly one of these names."""
    suffixes: tuple[str, ...] = ()
    """Show what has a name that ends so."""
    kinds: frozenset[str] = frozenset()
    """Show only these kinds, in the words of `Facts.kind`; empty means any."""
    crowd: int = 1000
    """More than this many of one owner in one folder are shown as one `Crowd`."""


class Budget(msgspec.Struct, frozen=True):
    """Bounds of one walk. What is past them is a gap with its count."""

    entries: int = 50_000_000
    """Names looked at by one process."""
    seconds: float = 1500
    waiting: int = 250_000
    """Folders seen and not yet entered, by one process."""
    findings: int = 250_000
    """Findings held for one interest."""
    finding_bytes: int = 48 * MIB
    """The same in bytes: a path may be long."""
    path: int = 1 << 16
    """Characters of a path; a folder of a longer one is not entered."""


class Question:
    """All interests at once. The fields are what the walk compares first; `asking` is for the few that pass."""

    def __init__(
        self, interests: Sequence[Interest], users: frozenset[int] | None, groups: frozenset[int] | None
    ) -> None:
        self.interests = tuple(interests)
        self.users, self.groups = users or frozenset(), groups or frozenset()
        self.ownerless = users is not None and groups is not None and any(each.ownerless for each in interests)
        self.capabilities = any(each.capabilities for each in interests)
        self.bits = 0
        for each in interests:
            self.bits |= each.mode_any
        self.names = frozenset().union(*(each.names for each in interests))
        self.suffixes = tuple({suffix for each in interests for suffix in each.suffixes})

    def asking(self, name: str, facts: Facts, *, capable: bool) -> Iterator[int]:
        """Yield the places in `interests` of those that want to be shown this entry."""
        bits = 0 if facts.kind == "link" else facts.mode
        ownerless = self.ownerless and (facts.uid not in self.users or facts.gid not in self.groups)
        for index, each in enumerate(self.interests):
            if each.kinds and facts.kind not in each.kinds:
                continue
            if (
                bits & each.mode_any
                or (capable and each.capabilities)
                or (ownerless and each.ownerless)
                or name in each.names
                or name.endswith(each.suffixes)
            ):
                yield index
