"""What tests of the store append: small real collections, a clock that ticks, an observation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from evidence.predicates import Clock, Cost
from evidence.statement import Collected, Observation

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
SEEN = Observation(
    name="host.example",
    labels={},
    machine="aa" * 32,
    observed="live",
    version="0.1.0",
    reason="by-hand",
    privileged=True,
)


def ticking(start: datetime = START, step: timedelta = timedelta(seconds=1)) -> Callable[[], Clock]:
    """Return a clock that goes one step further at each reading."""
    ticks = 0

    def clock() -> Clock:
        nonlocal ticks
        ticks += 1
        wall = (start + ticks * step).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return Clock(wall=wall, boottime_ms=ticks * 1000, boot_id="b" * 32, synchronised=True)

    return clock


def table(name: str = "users", *lines: bytes) -> Collected:
    """Return a complete collection with these rows."""
    rows = b"".join(sorted(each + b"\n" for each in lines))
    return Collected(
        name=name,
        version=1,
        header=b'{"table":"%s"}\n' % name.encode(),
        coverage="complete",
        failure=None,
        rows=rows,
        row_count=len(lines),
        gaps=b"",
        gap_count=0,
        reasons={},
        interval_s=3600,
        cost=Cost(wall_ms=1, cpu_ms=1, peak_kib=1, files=1, bytes=1),
    )
