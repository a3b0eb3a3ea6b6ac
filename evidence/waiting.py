"""Waiting for the disk once instead of many times.

A journalling file system writes one transaction for all who wait at the same moment, so a dozen fsyncs side by
side take the time of one; one behind the other they take a dozen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

AT_ONCE = 16


def together(calls: Sequence[Callable[[], None]]) -> list[OSError | None]:
    """Make calls that wait for the disk, side by side, and return how each ended, in their order."""
    ends: list[OSError | None] = [None] * len(calls)

    def run(start: int, step: int) -> None:
        for at in range(start, len(calls), step):
            ends[at] = _end(calls[at])

    lanes = min(AT_ONCE, len(calls))
    threads = [threading.Thread(target=run, args=(lane, lanes)) for lane in range(1, lanes)]
    for each in threads:
        each.start()
    if lanes:
        run(0, lanes)
    for each in threads:
        each.join()
    return ends


def _end(call: Callable[[], None]) -> OSError | None:
    try:
        call()
    except OSError as error:
        return error
    return None


def all_together(calls: Sequence[Callable[[], None]]) -> None:
    """Make calls side by side. Raises: the first OSError of them, when all have ended."""
    for error in together(calls):
        if error is not None:
            raise error
