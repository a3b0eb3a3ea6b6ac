"""Building what is signed: a snapshot of collections, or an event, in its place in the log."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from evidence import restricted_json, strict_base64
from evidence.errors import FormatError, LimitError
from evidence.keys import PublicKey
from evidence.predicates import (
    MAX_PAYLOAD,
    MAX_SUBJECTS,
    MAX_TEXT,
    Agent,
    Clock,
    Cost,
    Coverage,
    Digest,
    Event,
    EventPredicate,
    HostPart,
    LogPlace,
    Receipt,
    Run,
    Snapshot,
    SnapshotPredicate,
    Statement,
    Subject,
    TableState,
    parse,
)

__all__ = [
    "Clock",
    "Collected",
    "Context",
    "Cost",
    "Coverage",
    "Event",
    "Observation",
    "Receipt",
    "Snapshot",
    "Statement",
    "digest",
    "event",
    "event_details",
    "key_rotated",
    "parse",
    "snapshot",
]


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """One table's collection as the agent hands it over: bytes that are ready to be stored."""

    name: str
    version: int
    header: bytes | None
    coverage: Coverage
    failure: str | None
    rows: bytes
    row_count: int
    gaps: bytes
    gap_count: int
    reasons: dict[str, int]
    interval_s: int | None
    cost: Cost

    def blobs(self) -> dict[str, bytes]:
        """Return the blobs by the name of their subject; which there are depends on the coverage."""
        found = {}
        if self.coverage in ("complete", "partial"):
            found[self.name] = self.rows
        if self.coverage != "disabled":
            found[f"{self.name}.gaps"] = self.gaps
        return found


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a statement speaks about, and who observed it how."""

    name: str
    labels: dict[str, str]
    machine: str | None
    observed: Literal["live", "image"]
    version: str
    reason: Literal["by-hand", "scheduled", "change"]
    privileged: bool


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in every statement: place, clocks, host and the latest receipt."""

    origin: str
    sequence: int
    clock: Clock
    observation: Observation
    receipt: Receipt | None = None


def digest(blob: bytes) -> str:
    """Return the name of a blob."""
    return hashlib.sha256(blob).hexdigest()


def snapshot(collected: Sequence[Collected], context: Context) -> bytes:
    """Return the payload that names these collections.

    Raises: FormatError if a collection contradicts itself (a defect of the agent); LimitError when the payload
    would pass 61,440 bytes or name more than 1,000 blobs: fewer tables must go into one statement.
    """
    tables = sorted(collected, key=lambda each: each.name)
    names = {name: digest(blob) for each in tables for name, blob in each.blobs().items()}
    if len(names) != sum(len(each.blobs()) for each in tables):
        raise FormatError("snapshot", "each table once", "one twice")
    for each in tables:
        _check_collected(each)
    predicate = SnapshotPredicate(
        **_common(context),
        run=Run(privileged=context.observation.privileged, reason=context.observation.reason),
        tables=tuple(_table(each) for each in tables),
    )
    return _encode(Snapshot(subject=_subjects(names), predicate=predicate))


def event(
    kind: str,
    fields: Mapping[str, Any],
    details: bytes,
    context: Context,
    absence: Mapping[str, str] | None = None,
) -> bytes:
    """Return the payload that records an event; `details` is its blob, one JSON line from `event_details`.

    Raises: FormatError, LimitError.
    """
    if absence is not None and len(absence.get("reason", "")) > MAX_TEXT:
        raise LimitError("reason of an absence", f"at most {MAX_TEXT} characters", "more")
    body = {**fields, "kind": kind, "absence": None if absence is None else dict(absence)}
    predicate = EventPredicate(**_common(context), event=body)
    return _encode(Event(subject=_subjects({"event": digest(details)}), predicate=predicate))


def event_details(details: Mapping[str, Any]) -> bytes:
    """Return the blob of an event: what it has to say beyond its kind, as one line."""
    return restricted_json.encode(dict(details)) + b"\n"


def key_rotated(key: PublicKey, number: int) -> dict[str, Any]:
    """Return the fields of a `key-rotated` event; `number` is one more than the old key's."""
    return {"key": strict_base64.encode(key.spki), "keyid": key.fingerprint, "number": number}


def _encode(statement: Statement) -> bytes:
    payload = restricted_json.encode(statement)
    if len(payload) > MAX_PAYLOAD:
        raise LimitError("statement", f"at most {MAX_PAYLOAD} bytes", f"{len(payload)}")
    parse(payload, "statement to sign")  # a Struct's constructor checks nothing
    return payload


def _subjects(names: Mapping[str, str]) -> tuple[Subject, ...]:
    if len(names) > MAX_SUBJECTS:
        raise LimitError("statement", f"at most {MAX_SUBJECTS} subjects", f"{len(names)}")
    return tuple(Subject(name=name, digest=Digest(sha256=names[name])) for name in sorted(names))


def _common(context: Context) -> dict[str, Any]:
    seen = context.observation
    return {
        "agent": Agent(version=seen.version),
        "clock": context.clock,
        "host": HostPart(labels=seen.labels, machine=seen.machine, name=seen.name, observed=seen.observed),
        "log": LogPlace(origin=context.origin, sequence=context.sequence),
        "receipt": context.receipt,
    }


def _table(each: Collected) -> TableState:
    return TableState(
        cost=each.cost,
        coverage=each.coverage,
        failure=each.failure,
        gaps=each.gap_count,
        header=None if each.header is None else digest(each.header),
        interval_s=each.interval_s,
        name=each.name,
        reasons=each.reasons,
        rows=each.row_count,
        version=each.version,
    )


def _check_collected(each: Collected) -> None:
    """Refuse a collection whose words and bytes disagree; a pass must never be made of a mistake."""
    where = f"table {each.name}"
    facts = (
        (_lines(each.rows) == each.row_count, "as many rows as counted"),
        (_lines(each.gaps) == each.gap_count, "as many gaps as counted"),
        (_reasons(each.gaps) == each.reasons, "the reasons of its gaps, summed"),
        (each.coverage != "complete" or not each.gap_count, "no gap in a complete table"),
        (each.coverage != "partial" or each.gap_count > 0, "a gap in a partial table"),
        (each.coverage in ("complete", "partial") or not each.row_count, "no rows without coverage"),
        ((each.coverage == "failed") == (each.failure is not None), "why it failed if it failed, and only then"),
        ((each.coverage == "disabled") == (each.header is None), "a header unless disabled"),
    )
    for holds, expected in facts:
        if not holds:
            raise FormatError(where, expected, "otherwise")


class _Gap(msgspec.Struct):
    count: int
    reason: str


_gaps = msgspec.json.Decoder(_Gap)


def _reasons(gaps: bytes) -> dict[str, int] | None:
    """Return what the gaps fold, by reason; None if a line is no gap."""
    try:
        found = _gaps.decode_lines(gaps)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    sums: dict[str, int] = {}
    for each in found:
        sums[each.reason] = sums.get(each.reason, 0) + each.count
    return sums


def _lines(blob: bytes) -> int:
    """Return how many lines a blob has; -1 if they are not sorted or the last is not ended."""
    if not blob:
        return 0
    lines = blob.split(b"\n")
    if lines.pop() or any(before > after for before, after in itertools.pairwise(lines)):
        return -1
    return len(lines)
