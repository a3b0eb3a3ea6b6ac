"""How far the outbox has got: one small file of the signer's, which can be rebuilt and is never evidence.

Without it everything is written and delivered once more, which those who receive it take for what it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from evidence.batch import BatchInfo
from evidence.batch_form import Place, place_of
from evidence.errors import DamageError, EvidenceError
from evidence.reader import StoreReader
from evidence.state import open_state

NAME = "outbox.json"
_LIMIT = 16 << 20
ENROLLED = "enrolled"


Span = tuple[int, int]
"""Entries of one log, from the first up to, not including, the second."""


class Replacing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A batch that is being replaced by one without blobs: what it was, until that is signed."""

    sha256: str
    blobs: int
    bytes: int


class Batch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One file of the outbox; `bare` has no blobs."""

    sha256: str
    blobs: int
    bytes: int
    bare: bool = False
    delivered: list[str] = msgspec.field(default_factory=list)
    """Names of sinks that have it."""
    refused: dict[str, str] = msgspec.field(default_factory=dict)
    """Why a sink will not have it."""
    replacing: Replacing | None = None
    before: str | None = None
    """The digest that it had with its blobs: who had that sent when it was replaced has the same entries."""
    adopted: bool = False
    """Whether the log of this state cannot write it again: it stays as it is until every sink has it."""

    def is_known_as(self, sha256: str | None) -> bool:
        """Return whether a digest is, or was, that of these entries."""
        known = {self.sha256, self.before, None if self.replacing is None else self.replacing.sha256}
        return sha256 is not None and sha256 in known

    def has_come_to(self, sink: str) -> None:
        """Note that a sink has it."""
        if sink not in self.delivered:
            self.delivered.append(sink)
        self.refused.pop(sink, None)


class Progress(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What was written, and who has it."""

    format: Literal[1] = 1
    next: dict[str, int] = msgspec.field(default_factory=dict)
    """The entry of each log that the next batch begins with."""
    holes: dict[str, list[Span]] = msgspec.field(default_factory=dict)
    """What stands in front of that, and is to be written once more."""
    batches: dict[str, Batch] = msgspec.field(default_factory=dict)
    hubs: list[str] = msgspec.field(default_factory=list)
    """Verifier keys of hubs that this host enrolled with, by signed entries of its own."""
    pruned: float = 0.0
    """When rows past their days were last looked for, POSIX seconds."""
    written: float = 0.0
    """When the last batch was written, POSIX seconds."""

    @property
    def bytes(self) -> int:
        """Return how much room all batches take."""
        return sum(each.bytes for each in self.batches.values())

    def lacks(self, log_id: str, first: int, stop: int) -> None:
        """Have entries of a log written that were written before, as far as no batch holds them."""
        there = [(each.first, each.size) for each in self.writable(log_id)]
        lacking = without((first, min(stop, self.next.get(log_id, 0))), [*there, *self.holes.get(log_id, ())])
        self._set_holes(log_id, joined([*self.holes.get(log_id, ()), *lacking]))

    def reaches(self, log_id: str, size: int) -> None:
        """Count a log as written up to a size, but for what no batch holds."""
        before = self.next.get(log_id, 0)
        if size > before:
            self.next[log_id] = size
            self.lacks(log_id, before, size)

    def wrote(self, log_id: str, first: int, size: int) -> None:
        """Count entries as written."""
        self.next[log_id] = max(size, self.next.get(log_id, 0))
        left = [part for hole in self.holes.get(log_id, ()) for part in without(hole, [(first, size)])]
        self._set_holes(log_id, left)

    def wanted(self, log_id: str, size: int) -> list[Span]:
        """Return what is to be written of a log of this size, in its order."""
        spans = [*self.holes.get(log_id, ()), (self.next.get(log_id, 0), size)]
        return [(first, min(stop, size)) for first, stop in spans if first < min(stop, size)]

    def writable(self, log_id: str) -> list[Place]:
        """Return what batches hold of a log that the log could write again."""
        places = (place(name) for name, each in self.batches.items() if not each.adopted)
        return [each for each in places if each.log_id == log_id]

    def _set_holes(self, log_id: str, holes: list[Span]) -> None:
        if holes:
            self.holes[log_id] = holes
        else:
            self.holes.pop(log_id, None)

    def oldest_first(self) -> list[tuple[str, Batch]]:
        """Return the batches in the order in which they were written."""
        return list(self.batches.items())


def load(state: str) -> Progress:
    """Return what is known, rebuilt from the log where the file is not there or not as it was written."""
    with contextlib.suppress(FileNotFoundError, EvidenceError, msgspec.DecodeError, UnicodeDecodeError):
        root = open_state(state, create=False)
        try:
            return msgspec.json.decode(root.read(NAME, _LIMIT), type=Progress)
        finally:
            root.close()
    return Progress(hubs=_enrolled(state))


def save(state: str, progress: Progress) -> None:
    """Remember it, durably. Raises: OSError, UnsafeStateError."""
    root = open_state(state, create=True)  # as one who writes
    try:
        root.replace(NAME, msgspec.json.encode(progress))
    finally:
        root.close()


def place(name: str) -> Place:
    """Return which entries a batch holds by its name. Raises: DamageError if that is none."""
    found = place_of(name)
    if found is None:
        raise DamageError(NAME, "names of batches", "another")
    return found


def batch_of(info: BatchInfo, delivered: Sequence[str] = ()) -> Batch:
    """Return what is known of a batch that was just written."""
    return Batch(
        sha256=info.sha256, blobs=info.blobs, bytes=info.bytes, bare=info.blobs == 0, delivered=list(delivered)
    )


def without(span: Span, others: Sequence[Span]) -> list[Span]:
    """Return the parts of a span that none of the others covers, in order."""
    found = []
    at, stop = span
    for first, behind in sorted(others):
        if first > at:
            found.append((at, min(first, stop)))
        at = max(at, behind)
        if at >= stop:
            break
    else:
        found.append((at, stop))
    return [(first, behind) for first, behind in found if first < behind]


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return the same entries in as few spans as there can be, in order."""
    found: list[Span] = []
    for first, stop in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((first, stop))
    return found


def begins(name: str, log_id: str, first: int) -> bool:
    """Return whether a batch begins with an entry of a log."""
    found = place(name)
    return (found.log_id, found.first) == (log_id, first)


def is_within(name: str, log_id: str, size: int) -> bool:
    """Return whether a log of this size holds all of a batch."""
    found = place(name)
    return found.log_id == log_id and found.size <= size


def _enrolled(state: str) -> list[str]:
    """Return the keys of all hubs that entries of this state enrol with, oldest first."""
    keys: dict[str, None] = {}
    with contextlib.suppress(EvidenceError), StoreReader(state) as reader:
        for log in reader.logs():
            with contextlib.suppress(EvidenceError):  # damage of one log hides none of the others
                for key in _enrolled_in(reader, log.id):
                    keys[key] = None
    return list(keys)


def _enrolled_in(reader: StoreReader, log_id: str) -> Iterator[str]:
    for each in reader.entries(log_id):
        event = getattr(getattr(each.statement, "predicate", None), "event", None)
        if isinstance(event, dict) and event.get("kind") == ENROLLED and isinstance(event.get("vkey"), str):
            yield event["vkey"]
