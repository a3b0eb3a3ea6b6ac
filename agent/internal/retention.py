"""Removing rows past their retention as the service goes: rarely, and only while the clock can be believed."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Callable
from typing import Protocol

from agent.clocks import synchronised
from agent.configuration.model import Retention
from agent.daemon.hints import write_whole

NAME = "pruned"
"""A hint in the cache folder: its age is how long ago rows were removed last. Safe to delete."""


class Pruning(Protocol):
    """The part of the door that is needed here."""

    def prune(self, before: dt.datetime) -> int:
        """Remove the blobs that only entries before a time need, and return how many."""


def prune_if_due(
    door: Pruning,
    retention: Retention,
    cache: str,
    *,
    clock: Callable[[], float] = time.time,
    disciplined: Callable[[], bool | None] = synchronised,
) -> int | None:
    """Remove rows past their days, and return how many blobs that were; None if it is not time for it.

    What is removed is gone for ever, and a clock that is ten years ahead makes everything old: where nobody keeps the
    clock right, nothing is removed, and `evidenced prune` does it by hand.
    """
    now = clock()
    if not _is_due(os.path.join(cache, NAME), now, retention.prune_every) or disciplined() is not True:
        return None
    today = dt.datetime.fromtimestamp(int(now), dt.timezone.utc)
    removed = door.prune(today - dt.timedelta(days=retention.days))
    write_whole(cache, NAME, "", 0o600)
    return removed


def _is_due(path: str, now: float, every_s: int) -> bool:
    """Return whether a file is older than a span, is from the future, or is not there."""
    try:
        return not 0 <= now - os.stat(path, follow_symlinks=False).st_mtime < every_s
    except OSError:
        return True
