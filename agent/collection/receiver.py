"""Turns the frames of a child into collections, taking nothing that it says on trust."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal

import msgspec

from agent.collection.frames import FrameError
from agent.collection.limits import FAILURE_LIMIT, Limits
from agent.collection.validation import SAFE_INTEGER, InvalidRowError, Validator, check_gap
from collectors.contract import Gap, Reason, Table
from evidence.statement import Cost

Coverage = Literal["complete", "partial", "failed", "unsupported"]
Progress = Callable[[str, int], None]
"""Called with the table being read and how many of its rows have come."""

NOTHING = Cost(wall_ms=0, cpu_ms=0, peak_kib=0, files=0, bytes=0)


class Collection(msgspec.Struct):
    """One table read once: canonical lines, sorted, and what it cost."""

    table: Table
    rows: list[bytes] = []
    gaps: list[Gap] = []
    failure: str | None = None
    coverage: Coverage = "failed"
    cost: Cost = NOTHING

    @property
    def reasons(self) -> dict[str, int]:
        """Return how many gaps there are for each reason, counting what was folded."""
        counts: Counter[str] = Counter()
        for gap in self.gaps:
            counts[gap.reason] += gap.count
        return dict(counts)


class Receiver:
    """Turns frames into collections; holds no more than the limits allow."""

    def __init__(self, tables: Sequence[Table], limits: Limits, progress: Progress) -> None:
        self._waiting = {each.name: Collection(each) for each in tables}
        self._order = [each.name for each in tables]
        self._done: dict[str, Collection] = {}
        self._limits, self._progress = limits, progress
        self._now: Collection | None = None
        self._check: Validator | None = None
        self._bytes = self._gap_bytes = 0
        self._folded: Counter[Reason] = Counter()

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
        self._bytes = self._gap_bytes = 0
        self._folded = Counter()
        self._progress(name, 0)

    def _rows(self, now: Collection, payload: bytes) -> None:
        lines = payload.split(b"\n")
        self._bytes += len(payload) + 1
        if len(now.rows) + len(lines) > self._limits.rows or self._bytes > self._limits.table_bytes:
            raise FrameError("expected no more rows than the limit, found more")
        self._each_short(lines)
        if now.failure is None and self._check is not None:
            try:
                for line in lines:
                    self._check.check(line)
            except InvalidRowError as error:
                now.failure = f"defect in the collector: {error}"
        now.rows += lines
        self._progress(now.table.name, len(now.rows))

    def _gaps(self, now: Collection, payload: bytes) -> None:
        lines = payload.split(b"\n")
        self._each_short(lines)
        for line in lines:
            gap = check_gap(line)
            self._gap_bytes += len(line) + 1
            if len(now.gaps) < self._limits.gaps and self._gap_bytes <= self._limits.table_bytes:
                now.gaps.append(gap)
            else:
                self._folded[gap.reason] += gap.count
        if sum(now.reasons.values()) + sum(self._folded.values()) > SAFE_INTEGER:
            raise FrameError("expected counts of gaps within 2^53, found larger ones")

    def _each_short(self, lines: Sequence[bytes]) -> None:
        if any(len(line) > self._limits.row_bytes for line in lines):
            raise FrameError("expected no row or gap longer than the limit, found one")

    def _failure(self, now: Collection, payload: bytes) -> None:
        failure = _decode_failure(payload)
        if now.failure is None:  # else a row was invalid: no word of the child's makes that "unsupported"
            now.failure, now.coverage = failure.text, failure.coverage

    def _end(self, now: Collection, payload: bytes) -> None:
        now.cost = _decode_cost(payload)
        self._close(now)

    def _close(self, now: Collection) -> None:
        for reason, count in sorted(self._folded.items()):
            detail = f"expected at most {self._limits.gaps} gaps, found {count} more of this reason"
            now.gaps.append(Gap(now.table.name, reason, detail, count=count))
        self._done[now.table.name] = _judged(now)
        self._now = None

    def finish(self, ending: str | None, spent: Cost = NOTHING) -> list[Collection]:
        """Return a collection for every table asked for; what did not end well is failed, with the reason.

        `spent` is what the whole child took: the table it was at is charged with what the ones before it were not.
        """
        text = ending or "its process ended without saying why"
        if self._now is not None:
            self._now.failure, self._now.coverage = text, "failed"
            self._now.cost = _rest(spent, [each.cost for each in self._done.values()])
            self._close(self._now)
        for each in self._waiting.values():
            each.failure = text
            self._done[each.table.name] = _judged(each)
        return [self._done[name] for name in self._order]


def _rest(spent: Cost, told: Sequence[Cost]) -> Cost:
    """Return what is left of a child's cost; how much it read for a table that it did not end, it did not say."""
    return Cost(
        wall_ms=max(0, spent.wall_ms - sum(each.wall_ms for each in told)),
        cpu_ms=max(0, spent.cpu_ms - sum(each.cpu_ms for each in told)),
        peak_kib=spent.peak_kib,
        files=0,
        bytes=0,
    )


def _judged(now: Collection) -> Collection:
    """Return the collection with its coverage; a table that failed keeps its gaps and no row."""
    if now.failure is None:
        now.coverage = "partial" if now.gaps else "complete"
        now.rows.sort()
        return now
    now.rows = []
    reason: Reason = "unsupported" if now.coverage == "unsupported" else "failed"
    now.gaps.append(Gap(now.table.name, reason, now.failure))
    return now


class _Failure(msgspec.Struct, frozen=True):
    coverage: Literal["failed", "unsupported"]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=FAILURE_LIMIT)]


def _decode_failure(payload: bytes) -> _Failure:
    try:
        return msgspec.json.decode(payload, type=_Failure)
    except (msgspec.DecodeError, UnicodeDecodeError):  # whose messages may quote what was sent
        raise FrameError("expected why a table failed, found something else") from None


def _decode_cost(payload: bytes) -> Cost:
    try:
        cost = msgspec.json.decode(payload, type=Cost)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise FrameError("expected what a table cost, found something else") from None
    if max(msgspec.structs.astuple(cost)) > SAFE_INTEGER:
        raise FrameError("expected a cost within 2^53, found a larger one")
    return cost


def lines_of(items: Sequence[Gap]) -> Iterator[bytes]:
    """Yield gaps as canonical lines, sorted by their bytes."""
    encode = msgspec.json.Encoder(order="sorted").encode
    yield from sorted(map(encode, items))
