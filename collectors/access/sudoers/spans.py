"""The two values that sudo's parser checks while it reads: TIMEOUT (timeout.c), NOTBEFORE and NOTAFTER (gentime.c)."""

from __future__ import annotations

import re

_INT_MAX = 2**31 - 1
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1, "": 1}
_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]{1,20})([dhmsDHMS]?)")
_TIME = re.compile(r"([0-9]{10}|[0-9]{12}|[0-9]{14})(?:[.,][0-9])?(?:Z|[+-](?:[0-9]{2}|[0-9]{4}))?")


def is_timeout(text: str) -> bool:
    """Return whether the text is a time-out of sudo: numbers with units d, h, m and s in this order, or seconds."""
    total, at, unit = 0, 0, ""
    while at < len(text) or not at:
        found = _NUMBER.match(text, at)
        if found is None or (at and "dhms".index(unit) > "dhms".find(found[2].lower() or "s")):
            return False
        unit = found[2].lower() or "s"
        value = int(found[1]) * _SECONDS[unit]
        total, at = total + value, found.end()
        if value < 0 or total > _INT_MAX or (not found[2] and at < len(text)):
            return False
    return True


def is_generalized_time(text: str) -> bool:
    """Return whether the text is a time as RFC 4517, 3.3.13 has it, to the hour, minute or second."""
    return _TIME.fullmatch(text) is not None
