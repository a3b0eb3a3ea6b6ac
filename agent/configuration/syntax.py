"""One TOML text: refused before parsing where parsing could take for ever, and searched for the line of a key."""

from __future__ import annotations

import re
import sys
from collections import Counter
from typing import Any

from agent.configuration.problems import Key

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BYTES_LIMIT = 256 << 10
LINE_LIMIT = 4096
"""Characters of a line."""
DOTS_LIMIT = 16
"""Dots of a line outside of quotes: tomllib takes seconds for a key of ten thousand parts."""
DEPTH_LIMIT = 16

# Strings that are not closed are matched up to the end of the line, so that the scan stays linear.
QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|\'[^\']*\'?|#.*')
AT_LINE = re.compile(r" \(at (?:line ([0-9]+), column [0-9]+|end of document)\)\Z")


class SyntaxProblemError(ValueError):
    """A text that is not TOML, or not the part of TOML that is taken: what was expected and found, and the line."""

    def __init__(self, expected: str, found: str, line: int | None = None) -> None:
        super().__init__(expected, found)
        self.expected, self.found, self.line = expected, found, line


def parse(data: bytes) -> dict[str, Any]:
    """Return the document. Raises: SyntaxProblemError; no value of the text stands in it."""
    if len(data) > BYTES_LIMIT:
        raise SyntaxProblemError(f"at most {BYTES_LIMIT >> 10} KiB", "more")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SyntaxProblemError("UTF-8", "another byte", data.count(b"\n", 0, error.start) + 1) from None
    _check_shape(text)
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, and what int() says of too many digits
        at = AT_LINE.search(str(error))
        last = text.count("\n") + 1
        line = None if at is None else int(at[1] or last)
        raise SyntaxProblemError("TOML", f"an error: {AT_LINE.sub('', str(error)).lower()}", line) from None
    return document


def _check_shape(text: str) -> None:
    depth = 0
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LINE_LIMIT:
            raise SyntaxProblemError(f"lines of at most {LINE_LIMIT} characters", f"one of {len(line)}", number)
        for each in QUOTED.finditer(line):
            if each.group() in {'""', "''"} and line[each.end() : each.end() + 1] == each.group()[0]:
                raise SyntaxProblemError("text on one line, in single quotes or double", "three quotes", number)
        bare = QUOTED.sub("", line)
        if bare.count(".") > DOTS_LIMIT:
            raise SyntaxProblemError(
                f"at most {DOTS_LIMIT} dots in a line, those in quotes aside", f"{bare.count('.')}", number
            )
        for letter in bare:
            depth += (letter in "[{") - (letter in "]}")
            if depth > DEPTH_LIMIT:
                raise SyntaxProblemError(f"at most {DEPTH_LIMIT} nested brackets", "more", number)


def lines_of(text: str) -> dict[Key, int]:
    """Return the line on which each table and key begins, counted from 1, for a text that `parse` took.

    Keys inside inline tables and arrays are not found: their own key is.
    """
    lines: dict[Key, int] = {}
    counts: Counter[Key] = Counter()
    table: Key = ()
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            table = _numbered(_way(stripped), counts, new=stripped.startswith("[["))
            lines.setdefault(table, number)
        elif key := _way(_before_equals(line)):
            lines.setdefault((*table, *key), number)
    return lines


def _numbered(way: Key, counts: Counter[Key], *, new: bool) -> Key:
    """Return the key of a header, each array of tables in it with the number of its newest entry."""
    if new:
        counts[way] += 1
    numbered: Key = ()
    for at, each in enumerate(way, 1):
        numbered += (each,) if not counts[way[:at]] else (each, counts[way[:at]] - 1)
    return numbered


def _before_equals(line: str) -> str:
    masked = QUOTED.sub(lambda each: "x" * len(each.group()), line)
    key, equals, _ = masked.partition("=")
    return line[: len(key)] + "= 0" if equals else ""


def _way(line: str) -> Key:
    """Return the parts of the one key in a line; nothing if there is none."""
    try:
        value: Any = tomllib.loads(line)
    except ValueError:
        return ()
    way: Key = ()
    while isinstance(value, (dict, list)) and len(value) == 1:
        if isinstance(value, dict):
            ((name, value),) = value.items()
            way += (name,)
        else:
            (value,) = value
    return way
