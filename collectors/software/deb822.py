"""Stanzas of `Field: value` lines, as dpkg and apt keep them; format in deb822(5).

Only the standard library is imported: the start of Python is a third of what a large database takes.
"""

from __future__ import annotations

from collections.abc import Iterator

NEWLINE = ord("\n")
BLANKS = " \t\r\v\f"
"""What dpkg takes from both ends of a value, but for newlines; lib/dpkg/parse.c."""


class StanzaError(ValueError):
    """A stanza that is not in its form. The message never quotes it, but for the name of its package."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, found {found}")


def stanzas(data: bytes, longest: int = 1 << 20) -> Iterator[tuple[int, str]]:
    """Yield (offset, text with the newline that ends it) for each stanza; blank lines separate them.

    One longer than `longest` bytes is cut there and has no newline at its end, like one the file ends within.
    What is not UTF-8 (a maintainer's name from long ago) is kept with backslash escapes.
    """
    start, size = 0, len(data)
    while start < size:
        if data[start] == NEWLINE:
            start += 1
            continue
        end = data.find(b"\n\n", start)
        end = size if end < 0 else end + 1
        if end - start > longest:
            yield start, data[start : start + longest].decode("utf-8", "backslashreplace").rstrip("\n")
        else:
            yield start, data[start:end].decode("utf-8", "backslashreplace")
        start = end + 1


class Lines:
    """Numbers of lines by offset, for offsets that only grow: all of them together cost one pass."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset, self.line = 0, 1

    def at(self, offset: int) -> int:
        """Return the number of the line that an offset lies in, from 1."""
        self.line += self.data.count(b"\n", self.offset, offset)
        self.offset = offset
        return self.line


def fields(text: str, wanted: frozenset[str]) -> dict[str, str]:
    """Return the first line of each wanted field by its name in lower case; case does not tell names apart.

    Of a field given twice the first counts.
    Raises: StanzaError on a line that is none of a field, its continuation and a comment.
    """
    found: dict[str, str] = {}
    for line in text.rstrip("\n").split("\n"):
        if line.startswith((" ", "\t", "#")):
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise StanzaError("a field name and a colon", "a line without a colon")
        key = name.rstrip(" \t").lower()
        if key in wanted and key not in found:
            found[key] = value.strip(BLANKS)
    return found
