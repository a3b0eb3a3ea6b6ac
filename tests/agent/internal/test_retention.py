"""Rows are removed when their time is over, and never because a clock is wrong."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

from agent.configuration.model import Retention
from agent.internal.retention import NAME, prune_if_due

NOW = dt.datetime(2026, 7, 1, 12, tzinfo=dt.timezone.utc)
DAY_S = 86400


class Recorded:
    """A door that notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dt.datetime] = []

    def prune(self, before: dt.datetime) -> int:
        self.asked.append(before)
        return 3


def tried(
    cache: Path, *, disciplined: bool | None = True, now: dt.datetime = NOW, days: int = 400
) -> list[dt.datetime]:
    """Return what was asked for at one time."""
    door = Recorded()
    settings = Retention(days=days)
    removed = prune_if_due(door, settings, str(cache), clock=now.timestamp, disciplined=lambda: disciplined)
    assert removed == (3 if door.asked else None)
    if (cache / NAME).exists() and door.asked:
        os.utime(cache / NAME, (now.timestamp(), now.timestamp()))
    return door.asked


def test_what_is_older_than_its_days_is_removed_once_a_day(tmp_path: Path) -> None:
    assert tried(tmp_path, days=30) == [dt.datetime(2026, 6, 1, 12, tzinfo=dt.timezone.utc)]
    assert tried(tmp_path) == []
    assert tried(tmp_path, now=NOW + dt.timedelta(hours=23)) == []
    assert tried(tmp_path, now=NOW + dt.timedelta(days=1)) != []


def test_while_nobody_keeps_the_clock_right_nothing_is_removed(tmp_path: Path) -> None:
    assert tried(tmp_path, disciplined=False) == []
    assert tried(tmp_path, disciplined=None) == []
    assert tried(tmp_path) != []


def test_a_hint_from_the_future_holds_nothing_up(tmp_path: Path) -> None:
    tried(tmp_path, now=NOW + dt.timedelta(days=3650))
    assert tried(tmp_path) != []


def test_a_cache_that_cannot_be_written_to_costs_only_work(tmp_path: Path) -> None:
    assert tried(tmp_path / "none") != []
    assert tried(tmp_path / "none") != []
