"""What a walk brings home, held small and within bounds, and the same whether one process walked or two."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import msgspec

from collectors.contract import Gap, Reason, path_gap
from collectors.reading.facts import ROOT_UID, Facts
from collectors.reading.sweep_question import Budget
from collectors.reading.sweep_shown import Owned

MISSED_ONE_BY_ONE = 10_000
_MISSED_BYTES = 8 << 20


class Finding(msgspec.Struct, frozen=True):
    """One entry of the file system that an interest asked for."""

    path: str
    facts: Facts
    capability: bytes | None
    """The security.capability attribute, byte for byte; None also if no interest asked for it."""


class Crowd(msgspec.Struct, frozen=True):
    """More entries of one owner in one folder than the interest wants to see one by one."""

    folder: str
    count: int
    uid: int | None
    """The owner of them all; None if there were too many owners to be told apart."""
    gid: int | None
    """The group of them all; None if they have more than one."""


class _Sight(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    path: bytes
    facts: Facts
    capability: bytes | None


class _Many(msgspec.Struct, frozen=True, array_like=True, tag="m"):
    path: bytes
    count: int
    uid: int | None
    gid: int | None


class _Missed(msgspec.Struct, frozen=True, array_like=True):
    path: bytes
    reason: Reason
    detail: str
    count: int


_encode = msgspec.msgpack.Encoder().encode
_decode_found = msgspec.msgpack.Decoder(_Sight | _Many).decode
_decode_missed = msgspec.msgpack.Decoder(_Missed).decode


class _Kept(msgspec.Struct):
    """What was found for one interest: encoded, a quarter of what the objects would take."""

    roots: list[bytes] = []
    others: list[bytes] = []
    size: int = 0
    others_size: int = 0
    left_out: int = 0

    def keep(self, record: bytes, count: int, budget: Budget, *, root: bool) -> None:
        """Keep a finding, or count it; what is not root's leaves room for what is, however much users make."""
        full = len(self.roots) + len(self.others) >= budget.findings or self.size + len(record) > budget.finding_bytes
        if not root:
            findings, size = len(self.others) + 1, self.others_size + len(record)
            full = full or findings > _share(budget.findings) or size > _share(budget.finding_bytes)
        if full:
            self.left_out += count
            return
        (self.roots if root else self.others).append(record)
        self.size += len(record)
        self.others_size += 0 if root else len(record)


class Harvest(msgspec.Struct):
    """Findings for each interest, and what could not be seen. Paths are kept as bytes, so none is lost."""

    kept: list[_Kept]
    missed: list[bytes] = []
    missed_bytes: int = 0
    missed_more: dict[str, int] = {}
    """Counts of what was missed beyond the first 10,000, by reason."""
    entries: int = 0
    folders: int = 0

    @classmethod
    def of(cls, interests: int) -> Harvest:
        """Return an empty harvest for so many interests."""
        return cls([_Kept() for _ in range(interests)])

    def find(self, index: int, path: str, facts: Facts, capability: bytes | None, budget: Budget) -> None:
        """Keep a finding for the interest at a place, or count it if the budget is used up."""
        record = _encode(_Sight(os.fsencode(path), facts, capability))
        self.kept[index].keep(record, 1, budget, root=facts.uid == ROOT_UID)

    def crowd(self, index: int, folder: str, owned: Owned, budget: Budget) -> None:
        """Keep the number of what one owner has too much of in a folder."""
        record = _encode(_Many(os.fsencode(folder), owned.count, owned.uid, owned.gid))
        self.kept[index].keep(record, owned.count, budget, root=owned.uid == ROOT_UID)

    def miss(self, path: str, reason: Reason, detail: str, count: int = 1) -> None:
        """Note what could not be seen at or below a path."""
        record = _encode(_Missed(os.fsencode(path), reason, detail, count))
        if len(self.missed) >= MISSED_ONE_BY_ONE or self.missed_bytes + len(record) > _MISSED_BYTES:
            self.missed_more[reason] = self.missed_more.get(reason, 0) + count
            return
        self.missed.append(record)
        self.missed_bytes += len(record)

    def join(self, other: Harvest, budget: Budget) -> None:
        """Take over what another process of the same walk brought home."""
        for mine, theirs in zip(self.kept, other.kept, strict=True):
            for record in theirs.roots:
                mine.keep(record, _count(record), budget, root=True)
            for record in theirs.others:
                mine.keep(record, _count(record), budget, root=False)
            mine.left_out += theirs.left_out
        for raw in other.missed:
            each = _decode_missed(raw)
            self.miss(os.fsdecode(each.path), each.reason, each.detail, each.count)
        self.missed_more = dict(Counter(self.missed_more) + Counter(other.missed_more))
        self.entries += other.entries
        self.folders += other.folders

    def found(self, index: int) -> Iterator[Finding | Crowd | Gap]:
        """Yield what was found for the interest at a place, root's first, and then what was missed.

        The order is fixed. A table that takes only so many rows takes root's.
        """
        kept = self.kept[index]
        for each in map(_decode_found, (*sorted(kept.roots), *sorted(kept.others))):
            path = os.fsdecode(each.path)
            if isinstance(each, _Many):
                yield Crowd(path, each.count, each.uid, each.gid)
            else:
                yield Finding(path, each.facts, each.capability)
        if kept.left_out:
            detail = f"{kept.left_out} more findings than are kept"
            yield Gap("/", "truncated", detail, count=kept.left_out)
        yield from self._gaps()

    def _gaps(self) -> Iterator[Gap]:
        for each in map(_decode_missed, sorted(self.missed)):
            yield path_gap(os.fsdecode(each.path), each.reason, each.detail, count=each.count)
        for reason, count in sorted(self.missed_more.items()):
            detail = f"{count} more beside the first {MISSED_ONE_BY_ONE}"
            yield Gap("/", msgspec.convert(reason, Reason), detail, count=count)


def _share(whole: int) -> int:
    """Return how much of a budget all users but root may use up."""
    return whole * 3 // 4


def _count(record: bytes) -> int:
    found = _decode_found(record)
    return found.count if isinstance(found, _Many) else 1
