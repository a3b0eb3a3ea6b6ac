"""Text for people on a terminal: foreign text made harmless, columns, and what a terminal has no signs for."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

# Cc control, Cf format (bidi marks among them), Cs surrogate, Co private use, Cn unassigned, Zl and Zp line ends
HARMFUL = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))

ASCII = {"·": "-", "…": "...", "→": "->"}


def printable(text: str, limit: int = 200) -> str:
    """Return foreign text so that it cannot move the cursor, hide or reorder what stands around it."""
    shown = "".join(
        each.encode("unicode_escape").decode("ascii") if unicodedata.category(each) in HARMFUL else each
        for each in text[: limit + 1]
    )
    return shown if len(text) <= limit else shown[:limit] + "…"


def plainly(error: UnicodeError) -> tuple[str, int]:
    """Handle a character that an output's encoding has no place for: in ASCII where that is usual, else escaped.

    An error handler as `codecs.register_error` takes it.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(ASCII.get(each) or each.encode("ascii", "backslashreplace").decode() for each in text), error.end


def columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> list[str]:
    """Return rows as aligned lines; the columns of `right` are set flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return lines
