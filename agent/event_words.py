"""Events of the log in words, one line each; the kinds and their keys are in docs/formats.md, section 3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.terminal import counted

Fields = Mapping[str, Any]

WHY = {
    "first": "the first log of this state",
    "rotated": "the key was rotated",
    "restored": "the state was restored from a copy",
    "cloned": "the state was made on another machine",
    "damaged": "the key or the log was damaged",
    "lost": "the log was lost",
    "one-shot": "its key was made for this pack and kept in memory only",
}

LOST = {"segment": "entry", "blob": "blob", "receipt": "receipt", "key": "key", "secret": "secret"}
"""What one of the `count` of a damage event is."""


def in_words(event: Fields) -> str:
    """Return what an event says; of a kind that is not known here, its keys and plain values.

    The text comes from the log: it is for `printable` to make harmless.
    """
    say = KINDS.get(str(event.get("kind")))
    if say is not None:
        return say(event)
    plain = {key: value for key, value in sorted(event.items()) if key != "kind" and isinstance(value, (str, int))}
    return ", ".join(f"{key} {value}" for key, value in plain.items())


def why_opened(event: Fields) -> str:
    """Return why a log was begun."""
    why = str(event.get("why"))
    return WHY.get(why, why)


def damage(event: Fields) -> str:
    """Return which part of the state was damaged and how much of it is lost."""
    part, count = str(event.get("part")), event.get("count")
    if not isinstance(count, int):
        return part
    if count == 0:
        return f"{part}: nothing lost, it was made whole again"
    return f"{part}: {counted(count, LOST.get(part, 'file'))} lost"


def missed(event: Fields) -> str:
    """Return from when until when entries are missing, and why."""
    failures = event.get("failures")
    many = f", {counted(failures, 'entry')} did not fit" if isinstance(failures, int) else ""
    return f"{_span(event)}{many}"


def _opened(event: Fields) -> str:
    previous = event.get("previous")
    if not isinstance(previous, dict):
        return why_opened(event)
    size = previous.get("size")
    many = f" of {counted(size, 'entry')}" if isinstance(size, int) else ""
    return f"{why_opened(event)}; after {previous.get('origin')}{many}"


def _rotated(event: Fields) -> str:
    return f"key {event.get('number')} signs from here on: {event.get('keyid')}"


def _pruned(event: Fields) -> str:
    blobs = event.get("blobs")
    return f"{counted(blobs, 'blob') if isinstance(blobs, int) else 'blobs'} named only before {event.get('before')}"


def _disk_full(_: Fields) -> str:
    return "the disk is full; from here on entries may not have fitted"


def _started(event: Fields) -> str:
    since = f"; {_span(event)}" if isinstance(event.get("absence"), dict) else ""
    return f"version {event.get('version')}{since}"


def _jumped(event: Fields) -> str:
    return f"from {event.get('from')} to {event.get('to')}"


def _trimmed(event: Fields) -> str:
    blobs, size = event.get("blobs"), event.get("bytes")
    what = counted(blobs, "blob") if isinstance(blobs, int) else "blobs"
    room = f", {counted(size, 'byte')}" if isinstance(size, int) else ""
    return f"a batch leaves without {what}{room}; its entries stay in it"


def _span(event: Fields) -> str:
    absence = event.get("absence")
    span = absence if isinstance(absence, dict) else {}
    return f"{span.get('reason')} from {span.get('from')} to {span.get('until')}"


def _job(event: Fields) -> str:
    end = f"signal {event.get('signal')}" if event.get("signal") is not None else f"exit {event.get('exit')}"
    return f"{event.get('name')}: {end}, {event.get('duration_ms')} ms from {event.get('started')}"


def _alive(_: Fields) -> str:
    return "nothing else to say"


def _stopped(_: Fields) -> str:
    return "as it was told to"


KINDS: dict[str, Callable[[Fields], str]] = {
    "agent-started": _started,
    "agent-stopped": _stopped,
    "clock-jumped": _jumped,
    "damage": damage,
    "disk-full": _disk_full,
    "gap": missed,
    "heartbeat": _alive,
    "job": _job,
    "key-rotated": _rotated,
    "log-opened": _opened,
    "pruned": _pruned,
    "spool-trimmed": _trimmed,
    "suspended": _span,
}
