"""What is wrong with a configuration, and where: told all at once, in lines that a person can act on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

import msgspec

from program.text import printable

Key = tuple[str | int, ...]
"""The way to a setting: names of tables and of the setting; a number counts entries of a list, from 0."""

BARE = re.compile(r"[A-Za-z0-9_-]+")
LINE_LIMIT = 1000
"""Characters of one line about a problem."""


class Place(msgspec.Struct, frozen=True):
    """Where something stands; the line is None where it is not known."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        """Return it as compilers write it."""
        return self.file if self.line is None else f"{self.file}:{self.line}"


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong. No text of it is a value that may be a secret."""

    place: Place
    key: Key
    expected: str
    found: str
    hint: str = ""

    def __str__(self) -> str:
        """Return one line: where, which setting, what was expected, what was found, what to do."""
        key = f"{key_text(self.key)}: " if self.key else ""
        hint = f"; {self.hint}" if self.hint else ""
        return printable(f"{self.place}: {key}expected {self.expected}, found {self.found}{hint}", LINE_LIMIT)


def key_text(key: Key) -> str:
    """Return a key as TOML has it, with the number of an entry in brackets."""
    text = ""
    for each in key:
        if isinstance(each, int):
            text += f"[{each}]"
        else:
            text += ("." if text else "") + (each if BARE.fullmatch(each) else f'"{each}"')
    return text


def suggestion(name: str, known: Collection[str]) -> str:
    """Return which name may have been meant, or else which there are."""
    near = difflib.get_close_matches(name[:64], known, n=1)
    return f"did you mean {near[0]}" if near else f"known here: {', '.join(sorted(known))}"
