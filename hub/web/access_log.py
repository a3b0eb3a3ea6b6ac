"""The access log: one JSON line for each request, without anything that gives access.

No query, no header and no path that was made up: an upload's id lets others write to it, and who mistypes a URL may
have put a secret there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timezone

import msgspec

Write = Callable[[str], object]


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request; `kind` says why it was refused, `ms` how long it took."""

    time: str
    peer: str
    method: str
    path: str | None
    status: int
    ms: int
    received: int
    sent: int
    log: str | None = None
    kind: str | None = None


class AccessLog:
    """Writes lines to stderr, or where it is told to."""

    def __init__(self, write: Write | None = None) -> None:
        self._write = write or sys.stderr.write

    def add(self, line: Line) -> None:
        """Write a line."""
        self._write(msgspec.json.encode(line).decode() + "\n")

    def note(self, event: str, **fields: str | int) -> None:
        """Write that something happened beside requests."""
        self._write(msgspec.json.encode({"time": now(), "event": event, **fields}).decode() + "\n")


def now() -> str:
    """Return the time as lines carry it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
