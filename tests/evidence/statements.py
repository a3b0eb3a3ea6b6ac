"""Small real collections and contexts, for tests that need a statement to speak about."""

from __future__ import annotations

from typing import Any

import msgspec

from evidence.statement import Clock, Collected, Context, Cost, Observation

USERS_HEADER = (
    b'{"fields":[{"meaning":"login name","name":"name","nullable":false,"personal":true,"type":"text","unit":null},'
    b'{"meaning":"user id","name":"uid","nullable":false,"personal":false,"type":"int","unit":null}],'
    b'"key":["name"],"meaning":"One local account.","table":"users","version":1}\n'
)
ROWS = b'{"name":"daemon","uid":1}\n{"name":"root","uid":0}\n'
GAP = b'{"count":1,"detail":"","line":7,"reason":"malformed","source":"/etc/passwd","source_b64":null}\n'


def users(**changes: Any) -> Collected:
    """Return a complete collection of the users table, or one that differs from it."""
    fields: dict[str, Any] = {
        "name": "users",
        "version": 1,
        "header": USERS_HEADER,
        "coverage": "complete",
        "failure": None,
        "rows": ROWS,
        "row_count": 2,
        "gaps": b"",
        "gap_count": 0,
        "reasons": {},
        "interval_s": 3600,
        "cost": Cost(wall_ms=3, cpu_ms=2, peak_kib=9000, files=1, bytes=1200),
    }
    return Collected(**(fields | changes))


def observation(**changes: Any) -> Observation:
    """Return what a small server says about itself."""
    plain = Observation(
        name="web-1.example.org",
        labels={"env": "production"},
        machine="ab" * 32,
        observed="live",
        version="0.1.0",
        reason="scheduled",
        privileged=True,
    )
    return msgspec.structs.replace(plain, **changes)


def clock(wall: str = "2026-01-31T07:00:00.123Z", boottime_ms: int | None = 86_400_000) -> Clock:
    """Return one moment."""
    boot = "5b1f0c1e-9a0b-4c52-a7ab-8a1d3c0f4c11"
    return Clock(wall=wall, boottime_ms=boottime_ms, boot_id=boot, synchronised=True)


def context(**changes: Any) -> Context:
    """Return the place of a first statement."""
    plain = Context(origin="evidenced/0123456789abcdef/1", sequence=0, clock=clock(), observation=observation())
    return msgspec.structs.replace(plain, **changes)
