"""The clocks and the dice of an attempt, so that tests can bring their own."""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable

import msgspec

from agent.clocks import boot_id, boottime_ms, wall_text
from agent.delivery.backoff import Draw


class Moment(msgspec.Struct, frozen=True):
    """What time it is: since boot for waiting, by the wall for people."""

    boot: str | None
    boottime_ms: Callable[[], int]
    wall: Callable[[], float]
    draw: Draw

    def wall_text(self) -> str:
        """Return the wall clock as it stands in files."""
        return wall_text(self.wall())

    def seconds_since(self, text: str) -> float | None:
        """Return how long ago a wall clock said this, None if it is no time."""
        try:
            return self.wall() - dt.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
        except ValueError:
            return None


def real() -> Moment:
    """Return the clocks of this machine."""
    return Moment(boot_id(), boottime_ms, time.time, random.uniform)
