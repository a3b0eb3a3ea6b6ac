"""Events as the supervisor words them, KIND[:FIRST[:LAST]], and as they are signed."""

from __future__ import annotations

import datetime as dt
from typing import Any

from agent.clocks import wall_text
from agent.version import VERSION
from collectors.contract import utc
from evidence.errors import FormatError

Absence = dict[str, str]
_KEYS = {"config-changed": "digest", "table-stuck": "table", "watches-degraded": "why"}
"""What the first word after these kinds is called."""
_MS_DIGITS = 15
_LAST_S = 253402300799  # of the year 9999, the last that RFC 3339 can write


def parse_event(text: str) -> tuple[str, dict[str, Any], Absence | None]:
    """Return kind, fields and absence of an event. Raises: FormatError."""
    kind, _, rest = text.partition(":")
    first, _, last = rest.partition(":")
    fields: dict[str, Any] = {}
    if kind == "suspended":
        return kind, fields, {"from": utc(_seconds(first)), "reason": kind, "until": utc(_seconds(last))}
    if kind == "agent-started":
        fields = {"config": first or None, "version": VERSION}
    elif kind == "clock-jumped":
        fields = {"from": wall_text(_seconds(first)), "to": wall_text(_seconds(last))}
    elif kind in _KEYS:
        fields = {_KEYS[kind]: first}
    return kind, fields, None


def _seconds(text: str) -> float:
    """Return POSIX seconds of milliseconds, within what can be written."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MS_DIGITS):
        raise FormatError("event", "a time in milliseconds", "another text")
    epoch = dt.datetime(1, 1, 2, tzinfo=dt.timezone.utc).timestamp()
    return min(max(int(text) / 1000, epoch), _LAST_S)
