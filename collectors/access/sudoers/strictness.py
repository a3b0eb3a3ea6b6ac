"""The fault for which sudo refuses everybody where sudo.conf turns error_recovery off: sudoers(5)."""

from __future__ import annotations

from collections.abc import Iterable

from collectors.access.sudoers.model import Include
from collectors.access.sudoers.walk import LOOP, Line, Seen
from collectors.contract import Gap, path_gap

_REFUSED = "sudo refuses everybody for this, since sudo.conf turns error_recovery off"


def first_fault(events: Iterable[Seen | Line | Gap]) -> Gap | None:
    """Return the first fault in what sudo reads as a gap, or None.

    A fault is a line that it refuses, an alias that is defined again, and an `@include` that it cannot or will not
    follow. Not one is a file or folder that it leaves out of an `@includedir`, or a setting that it does not know.
    """
    defined: set[tuple[str, str]] = set()
    asked: Line | None = None
    for event in events:
        if isinstance(event, Gap):
            if event.detail == LOOP:
                return path_gap(event.source, "malformed", _REFUSED, line=event.line)
            continue
        if isinstance(event, Line):
            asked = event if isinstance(event.statement.content, Include) else None
            if not event.place.ignored and _is_faulty(event, defined):
                return _gap(event)
        elif event.place.ignored == "too_deep" or (asked and _is_refused(asked, event)):
            return _gap(asked) if asked else path_gap(event.place.path, "malformed", _REFUSED)
        else:
            asked = None
    return None


def _is_faulty(line: Line, defined: set[tuple[str, str]]) -> bool:
    if line.statement.problems:
        return True
    for each in line.statement.content if isinstance(line.statement.content, tuple) else ():
        if (each.kind, each.name) in defined:
            return True
        defined.add((each.kind, each.name))
    return False


def _is_refused(asked: Line, seen: Seen) -> bool:
    """Return whether sudo does not take the file that an include names; of a folder it says nothing."""
    return not asked.place.ignored and seen.kind == "file" and seen.place.ignored is not None


def _gap(line: Line) -> Gap:
    return path_gap(line.place.path, "malformed", _REFUSED, line=line.statement.line)
