"""Text for people: what came from elsewhere made harmless, columns, times."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime, timezone

# Cc control, Cf format (bidi marks among them), Cs surrogate, Co private use, Cn unassigned, Zl and Zp line ends
_HARMFUL = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def printable(text: str, limit: int = 200) -> str:
    """Return foreign text so that it cannot move the cursor, hide or reorder what stands around it."""
    shown = "".join(
        each.encode("unicode_escape").decode("ascii") if unicodedata.category(each) in _HARMFUL else each
        for each in text[:limit]
    )
    return shown if len(text) <= limit else shown + "…"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as aligned lines."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def instant(seconds: int | None) -> str:
    """Return POSIX seconds as people read a time; `never` for none."""
    if seconds is None:
        return "never"
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
