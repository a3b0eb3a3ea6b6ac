"""Which tables or entry a command means, and a clear word when there is none such."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from agent.errors import WRONG_USE, CommandError
from collectors.catalogue import all_tables
from collectors.contract import Table

NUMBER_DIGITS = 15
"""Of an entry's sequence number; int() of a text without end is slow, and refused by newer Pythons."""


def chosen(names: Sequence[str]) -> list[Table]:
    """Return the tables named, each once and in the order given; all of them, by name, if none is."""
    known = {each.name: each for each in all_tables()}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}" if near else "see evidenced tables"
            raise CommandError(f"--table: expected the name of a table, found {name!r}; {hint}", WRONG_USE)
    return [known[name] for name in dict.fromkeys(names or sorted(known))]


def entry_number(option: str, text: str | None) -> int:
    """Return the sequence number that somebody typed."""
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS):
        found = "none" if text is None else repr(text)
        raise CommandError(f"{option}: expected the number of an entry, found {found}", WRONG_USE)
    return int(text)
