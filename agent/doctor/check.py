"""One thing that was looked at, and how it was found."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

State = Literal["fine", "note", "wrong"]
MARKS: dict[State, str] = {"fine": "✓", "note": "!", "wrong": "✗"}


class Check(msgspec.Struct, frozen=True):
    """A subject in a few words, what was found, and what to do about it."""

    subject: str
    state: State
    found: str
    step: str = ""

    def __str__(self) -> str:
        """Return one line."""
        return f"{MARKS[self.state]} {self.subject}: {self.found}" + (f"; {self.step}" if self.step else "")


def fine(subject: str, found: str) -> Check:
    """Return that a thing is as it should be."""
    return Check(subject, "fine", found)


def note(subject: str, found: str, step: str = "") -> Check:
    """Return that somebody should know something, though nothing is broken."""
    return Check(subject, "note", found, step)


def wrong(subject: str, found: str, step: str) -> Check:
    """Return that something keeps this host from collecting or delivering."""
    return Check(subject, "wrong", found, step)


def why(error: OSError) -> str:
    """Return what the kernel said, in lower case."""
    return (error.strerror or type(error).__name__).lower()


def age(seconds: float) -> str:
    """Return a span as people say it, in its largest whole unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def seconds_since(wall: str, now: float) -> float | None:
    """Return how long ago an RFC 3339 time in UTC was, None if it is not one."""
    try:
        moment = dt.datetime.fromisoformat(wall.replace("Z", "+00:00"))
        return now - moment.timestamp()
    except (ValueError, OverflowError, OSError):
        return None
