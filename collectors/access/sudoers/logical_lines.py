"""Lines as sudo joins them in sudo.conf and nsswitch.conf: sudo_parseln in lib/util/parseln.c."""

from __future__ import annotations

from collections.abc import Iterator

BLANKS = " \t"


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield (number of its first line, text) of each line that is not empty, continued ones joined.

    A line goes on in the next if its very last character is a backslash with none before it and it has no comment.
    """
    joined, first = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        first = first or number
        part, goes_on = _part(line)
        joined += part
        if not goes_on:
            yield from _shown(first, joined)
            joined, first = "", 0
    yield from _shown(first, joined)


def _part(line: str) -> tuple[str, bool]:
    """Return what a physical line adds, and whether the next belongs to it."""
    line = line.rstrip("\r")
    head, nul, _ = line.partition("\0")  # functions for C strings see nothing after it
    if "#" in head:
        return head.partition("#")[0].strip(BLANKS), False
    if line.endswith("\\") and not line.endswith("\\\\"):
        return (head if nul else line[:-1]).lstrip(BLANKS), True
    return head.strip(BLANKS), False


def _shown(number: int, text: str) -> Iterator[tuple[int, str]]:
    if text:
        yield number, text
