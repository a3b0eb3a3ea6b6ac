"""Which tables a command means, and a clear word when there is no such table."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from agent.errors import WRONG_USE, CommandError
from collectors.catalogue import all_tables
from collectors.contract import Table


def chosen(names: Sequence[str]) -> list[Table]:
    """Return the tables named, each once and in the order given; all of them, by name, if none is."""
    known = {each.name: each for each in all_tables()}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}" if near else "see evidenced tables"
            raise CommandError(f"--table: expected the name of a table, found {name!r}; {hint}", WRONG_USE)
    return [known[name] for name in dict.fromkeys(names or sorted(known))]
