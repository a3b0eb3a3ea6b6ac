"""The digests of all files of a table, fairly: root's first, and nobody spends what others need.

Whoever has little to read comes before those who have much, and none of them gets more than an equal share of what is
left; so a user who makes terabytes without content, or a crowd of short files, loses digests of his own files and of
nobody else's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import msgspec

from collectors.contract import Gap
from collectors.reading.digest import Digester, Spending
from collectors.reading.errors import ReadError
from collectors.reading.facts import ROOT_UID
from collectors.reading.host import Host
from collectors.reading.sweep import Finding
from collectors.reading.sweep_mounts import MountMap

_ONE_BY_ONE = 100
"""Files left out for their length, or since nothing may be spent any more, that have a gap each; the others are counted
in one."""
_OPENING = 64 << 10
"""Bytes that take about as long to read as a file takes to open; a disk takes longer."""


class Digests(msgspec.Struct):
    """Hex digests by path, and why the other files have none."""

    by_path: dict[str, str] = {}
    gaps: list[Gap] = []
    left_out: int = 0

    def all_gaps(self) -> Iterator[Gap]:
        """Yield each gap, and one for those that are only counted."""
        yield from self.gaps
        if self.left_out > _ONE_BY_ONE:
            more = self.left_out - _ONE_BY_ONE
            yield Gap("/", "truncated", f"{more} more files were left out of the digests", count=more)


def digests_of(host: Host, found: Sequence[Finding], mounts: MountMap, spending: Spending | None = None) -> Digests:
    """Return the digests of the files that a sweep found; root's are read first, then by owner."""
    digester, digests = Digester(host, spending), Digests()
    _read([each for each in found if each.facts.uid == ROOT_UID], digester, mounts, digests)
    owners = _owners(each for each in found if each.facts.uid != ROOT_UID)
    for index, files in enumerate(owners):
        others = digester.left - max(0, digester.left) // (len(owners) - index)
        digester.left -= others
        _read(files, digester, mounts, digests)
        digester.left += others
    return digests


def _owners(found: Iterable[Finding]) -> list[list[Finding]]:
    """Return the files of each owner, short ones first, and first those of who has the least to read."""
    ordered = sorted(found, key=lambda each: (each.facts.uid, each.facts.size_bytes, each.path))
    owners = [list(files) for _, files in groupby(ordered, key=lambda each: each.facts.uid)]
    return sorted(owners, key=_cost)


def _cost(files: Sequence[Finding]) -> int:
    """Return how much there is to read, in bytes: the content of hard links once, and the opening of each."""
    lengths = {(each.facts.device, each.facts.inode): each.facts.size_bytes for each in files}
    return sum(lengths.values()) + len(files) * _OPENING


def _read(files: Iterable[Finding], digester: Digester, mounts: MountMap, digests: Digests) -> None:
    for each in files:
        mount = mounts.over(each.path)
        try:
            target = "/" if mount is None else mount.target
            digests.by_path[each.path] = digester.sha256(each.path, each.facts, mount=target)
        except ReadError as error:
            digests.left_out += error.reason == "truncated"
            if error.reason != "truncated" or digests.left_out <= _ONE_BY_ONE:
                digests.gaps.append(error.gap())
