"""Turns the frames of a child into collections, taking nothing that it says on trust."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from agent.collection.child import Cost
from agent.collection.frames import FrameError
from agent.collection.limits import Limits
from agent.collection.validation import InvalidRowError, Validator, check_gap
from collectors.contract import Gap, Table

Coverage = Literal["complete", "partial", "failed", "unsupported"]
Progress = Callable[[str, int], None]
"""Called with the table being read and how many of its rows have come."""


@dataclass
class Collection:
    """One table read once: canonical lines, sorted, and what it cost."""

    table: Table
    rows: list[bytes] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    failure: str | None = None
    coverage: Coverage = "failed"
    cost: Cost = field(default_factory=lambda: Cost(0, 0, 0, 0, 0))

    @property
    def reasons(self) -> dict[str, int]:
        """Return how many gaps there are for each reason, counting what was folded."""
        counts: dict[str, int] = {}
        for gap in self.gaps:
            counts[gap.reason] = counts.get(gap.reason, 0) + gap.count
        return counts


class Receiver:
    """Turns frames into collections; holds no more than the limits allow."""

    def __init__(self, tables: Sequence[Table], limits: Limits, progress: Progress) -> None:
        self._waiting = {each.name: Collection(each) for each in tables}
        self._order = [each.name for each in tables]
        self._done: dict[str, Collection] = {}
        self._limits, self._progress = limits, progress
        self._now: Collection | None = None
        self._check: Validator | None = None
        self._bytes = 0
        self._folded: dict[str, int] = {}

    def tick(self) -> None:
        """Show that work goes on while nothing comes."""
        if self._now is not None:
            self._progress(self._now.table.name, len(self._now.rows))

    def take(self, kind: bytes, payload: bytes) -> None:
        """Take one frame, in the order that the protocol allows."""
        if kind == b"T":
            self._begin(payload.decode("ascii", "replace"))
        elif self._now is None:
            raise FrameError(f"expected the beginning of a table, found kind {kind.decode()}")
        else:
            {b"R": self._rows, b"G": self._gaps, b"F": self._failure, b"E": self._end}[kind](self._now, payload)

    def _begin(self, name: str) -> None:
        if self._now is not None or name not in self._waiting:
            raise FrameError("expected a table that was asked for, once, found another")
        self._now = self._waiting.pop(name)
        self._check = Validator(self._now.table)
        self._bytes, self._folded = 0, {}
        self._progress(name, 0)

    def _rows(self, now: Collection, payload: bytes) -> None:
        lines = payload.split(b"\n")
        self._bytes += len(payload) + 1
        if len(now.rows) + len(lines) > self._limits.rows or self._bytes > self._limits.table_bytes:
            raise FrameError("expected no more rows than the limit, found more")
        if now.failure is None and self._check is not None:
            try:
                for line in lines:
                    self._check.check(line)
            except InvalidRowError as error:
                now.failure = f"defect in the collector: {error}"
        now.rows += lines
        self._progress(now.table.name, len(now.rows))

    def _gaps(self, now: Collection, payload: bytes) -> None:
        for line in payload.split(b"\n"):
            gap = check_gap(line)
            if len(now.gaps) < self._limits.gaps:
                now.gaps.append(gap)
            else:
                self._folded[gap.reason] = self._folded.get(gap.reason, 0) + gap.count

    def _failure(self, now: Collection, payload: bytes) -> None:
        failure = _decode_failure(payload)
        now.failure = failure.text
        now.coverage = failure.coverage

    def _end(self, now: Collection, payload: bytes) -> None:
        now.cost = _decode_cost(payload)
        for reason, count in sorted(self._folded.items()):
            detail = f"expected at most {self._limits.gaps} gaps, found {count} more of this reason"
            now.gaps.append(Gap(now.table.name, reason, detail, count=count))  # type: ignore[arg-type]  # from a Gap
        self._done[now.table.name] = _judged(now)
        self._now = None

    def finish(self, ending: str | None) -> list[Collection]:
        """Return a collection for every table asked for; what did not end well is failed, with the reason."""
        text = ending or "its process ended without saying why"
        left = [] if self._now is None else [self._now]
        for each in (*left, *self._waiting.values()):
            each.failure, each.coverage = text, "failed"
            self._done[each.table.name] = _judged(each)
        return [self._done[name] for name in self._order]


def _judged(now: Collection) -> Collection:
    """Return the collection with its coverage; a table that failed keeps its gaps and no row."""
    if now.failure is None:
        now.coverage = "partial" if now.gaps else "complete"
        now.rows.sort()
        return now
    now.rows = []
    reason = "unsupported" if now.coverage == "unsupported" else "failed"
    now.gaps.append(Gap(now.table.name, reason, now.failure))  # type: ignore[arg-type]  # one of two literals
    return now


class _Failure(msgspec.Struct, frozen=True):
    coverage: Coverage
    text: str


def _decode_failure(payload: bytes) -> _Failure:
    try:
        failure = msgspec.json.decode(payload, type=_Failure)
    except msgspec.DecodeError as error:
        raise FrameError(f"expected why a table failed: {error}") from None
    if failure.coverage not in {"failed", "unsupported"}:
        raise FrameError("expected failed or unsupported, found another coverage")
    return failure


def _decode_cost(payload: bytes) -> Cost:
    try:
        return msgspec.json.decode(payload, type=Cost)
    except msgspec.DecodeError as error:
        raise FrameError(f"expected what a table cost: {error}") from None


def lines_of(items: Sequence[Gap]) -> Iterator[bytes]:
    """Yield gaps as canonical lines, sorted by their bytes."""
    encode = msgspec.json.Encoder(order="sorted").encode
    yield from sorted(map(encode, items))
