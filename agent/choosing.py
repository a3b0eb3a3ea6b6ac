"""Which tables or entry a command means, and a clear word when there is none such."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence

from collectors.catalogue import all_tables
from collectors.contract import Table
from evidence.reader import LogInfo, StoreReader
from program.errors import WRONG_USE, CommandError

NUMBER_DIGITS = 15
"""Of an entry's sequence number; int() of a text without end is slow, and refused by newer Pythons."""

LOGS_NAMED = 3


def chosen(names: Sequence[str], *, option: str = "--table") -> list[Table]:
    """Return the tables named, each once and in the order given; all of them, by name, if none is."""
    known = {each.name: each for each in all_tables()}
    check_names(option, names, known, "see evidenced tables")
    return [known[name] for name in dict.fromkeys(names or sorted(known))]


def check_names(option: str, names: Iterable[str], known: Collection[str], otherwise: str) -> None:
    """Refuse a name that is not known, with the one that may have been meant, or else with what to do."""
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}" if near else otherwise
            raise CommandError(f"{option}: expected the name of a table, found {name!r}; {hint}", WRONG_USE)


def chosen_log(reader: StoreReader, wanted: str | None) -> LogInfo:
    """Return the log of that id, or the newest one."""
    logs = reader.logs()
    if not logs:
        raise CommandError("there is no log yet; it is begun by the first signature: evidenced inventory")
    for each in logs:
        if each.id == wanted:
            return each
    if wanted is not None:
        raise CommandError(f"--log: expected one of {', '.join(each.id for each in logs)}, found {wanted!r}", WRONG_USE)
    return logs[-1]


def entry_number(option: str, text: str | None) -> int:
    """Return the sequence number that somebody typed."""
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS):
        found = "none" if text is None else repr(text)
        raise CommandError(f"{option}: expected the number of an entry, found {found}", WRONG_USE)
    return int(text)


def check_entry(option: str, number: int, log: LogInfo, reader: StoreReader) -> None:
    """Refuse the number of an entry that a log does not have; of several logs another one may have been meant."""
    if number < log.size:
        return
    others = [each.id for each in reversed(reader.logs()) if each.id != log.id]
    named = ", ".join((*others[:LOGS_NAMED], *("…" for _ in others[LOGS_NAMED:][:1])))
    step = f"--log names another one: {named}" if others else "see evidenced log"
    expected = f"an entry of log {log.id}, 0 to {log.size - 1}"
    raise CommandError(f"{option}: expected {expected}, found {number}; {step}", WRONG_USE)
