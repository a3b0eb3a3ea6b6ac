"""When to try again: full jitter, doubling from a second to a quarter of an hour, and what a server asks for."""

from __future__ import annotations

import email.utils
import random
import re
import time
from collections.abc import Callable

BASE_S = 1.0
CAP_S = 15 * 60.0
ASKED_CAP_S = 60 * 60.0
"""A server may ask for more patience than we would have, but not for silence."""
_SECONDS = re.compile(r"[0-9]{1,18}\Z")
_DATE_LIMIT = 64

Draw = Callable[[float, float], float]
"""A number between two others, such as `random.uniform`."""


def delay_s(failures: int, draw: Draw = random.uniform) -> float:
    """Return for how long to wait after so many failures in a row (at least 1).

    Full jitter: hosts that failed together come back one by one.
    """
    return draw(0.0, min(CAP_S, BASE_S * 2.0 ** min(failures - 1, 32)))


def asked_s(retry_after: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Return for how long a server asks to be left alone, at most an hour; None if it does not, or not sensibly.

    Source: RFC 9110, 10.2.3: seconds, or a date.
    """
    if retry_after is None:
        return None
    text = retry_after.strip()
    if _SECONDS.match(text):
        return min(float(text), ASKED_CAP_S)
    moment = _moment(text)
    if moment is None or moment <= now():
        return None
    return min(moment - now(), ASKED_CAP_S)


def _moment(text: str) -> float | None:
    if len(text) > _DATE_LIMIT:
        return None
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):  # each of them for some text
        return None
