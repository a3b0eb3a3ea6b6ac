"""Times as people read them."""

from __future__ import annotations

from datetime import datetime, timezone


def instant(seconds: int | None) -> str:
    """Return POSIX seconds as people read a time; `never` for none."""
    if seconds is None:
        return "never"
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
