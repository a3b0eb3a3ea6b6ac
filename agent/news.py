"""What the store found out about itself while it was open, told to whoever runs the command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.event_words import Fields, damage, missed, why_opened
from evidence.errors import EvidenceError
from evidence.log import Entry
from evidence.order import id_of
from evidence.reader import StoreReader
from program.text import printable

EXPECTED = ("first", "rotated")
"""Reasons to begin a log that are no news to anybody."""

LINE_LIMIT = 1000


def news_of(events: Sequence[Entry], fingerprint: str | None, state: str) -> list[str]:
    """Return lines about what a store itself recorded while it was open, each with what to do about it.

    `fingerprint` is that of the key that signs now.
    """
    known = fingerprint or "not known"
    lines = [line for entry, event in _read_back(events, state) for line in _lines(entry, event, state, known)]
    return [printable(line, LINE_LIMIT) + "\n" for line in lines]


def _read_back(entries: Sequence[Entry], state: str) -> Iterator[tuple[Entry, Fields]]:
    """Yield entries with their events; of one that cannot be read back, the kind alone."""
    for entry in entries:
        try:
            with StoreReader(state) as reader:
                statement = reader.entry(id_of(entry.origin), entry.sequence).statement
        except (EvidenceError, OSError):
            statement = None
        event = getattr(getattr(statement, "predicate", None), "event", None)
        yield entry, event if isinstance(event, dict) else {"kind": entry.kind}


def _lines(entry: Entry, event: Fields, state: str, fingerprint: str) -> Iterator[str]:
    if entry.kind == "log-opened" and event.get("why") not in EXPECTED:
        yield f"! {why_opened(event).capitalize()}: a new log was begun, {entry.origin}."
        if entry.origin.endswith("/1"):  # the first epoch of a key
            yield f"  It has a new key, {fingerprint}: tell whoever checks your packs, who has another one noted."
        else:
            yield "  The key is the same; packs show both logs, and why the second was begun."
    elif entry.kind == "damage":
        yield f"! Damage was found. {damage(event).capitalize()}."
        yield f"  The log says so; what was damaged is kept in {state}/quarantine. Look after the disk."
    elif entry.kind == "gap":
        yield f"! Entries are missing: {missed(event)}. The log says so; keep more room on the disk of {state}."
    elif entry.kind == "disk-full":
        yield f"! The disk of {state} is full; the log says so. Make room, then run the command again."
