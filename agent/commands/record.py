"""`evidenced record`: what people do and know, signed into the log: a backup, a restore test, an approval."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence

from agent.places import own_log_note, recording_places
from agent.signing.door import open_door
from agent.signing.records import JOB, RECORDS, TIME, RecordKind, checked, moment
from evidence.errors import FormatError
from program.errors import OK, WRONG_USE, CommandError
from program.text import printable

NOTE_LIMIT = 2000
ECHOED = 40
"""Characters of what was typed that an error repeats."""

BY_HAND = {name: kind for name, kind in RECORDS.items() if name != JOB}


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = "\n".join((*map(_described, BY_HAND), "", TAIL))
    parser.add_argument("event", metavar="EVENT", help="what to record, see below")
    parser.add_argument(
        "--field", action="append", default=[], metavar="KEY=VALUE", help="a field of the event; repeatable"
    )
    parser.add_argument("--at", metavar="TIME", help=f"when it was, if not now: {TIME.expected}")
    parser.add_argument("--note", metavar="TEXT", help="anything else worth knowing")
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")


TAIL = """\
Who recorded it is signed with it: the user that the kernel names. Notes and other free text stand beside the
statement, so that they can be pruned. Members of group evidenced-record record in the host's log, others in their
own, which is said."""


def run(options: argparse.Namespace) -> int:
    """Record it and say where."""
    kind = _kind(options.event)
    fields = parse_fields(options.field)
    if options.note is not None and not (1 <= len(options.note) <= NOTE_LIMIT and _is_text(options.note)):
        raise CommandError(f"--note: expected 1 to {NOTE_LIMIT} characters of plain text, found others", WRONG_USE)
    if options.at is not None and moment(options.at) is None:
        raise CommandError(f"--at: expected {TIME.expected}, found {_short(options.at)}", WRONG_USE)
    _check(options.event, kind, fields, options.at)
    where = recording_places(options.state)
    with open_door(where) as door:
        try:
            entry = door.record(options.event, fields, options.note, options.at)
        finally:
            sys.stderr.writelines(door.news())
    own = own_log_note(where, options.state)
    print(f"Recorded as entry {entry.sequence} of {entry.origin}{'' if own is None else ', in your own log'}")
    if own is not None:
        sys.stderr.write(f"evidenced record: {own}\n")
    return OK


def parse_fields(texts: Sequence[str]) -> dict[str, str]:
    """Return fields by key. Raises: CommandError."""
    fields: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise CommandError(f"--field: expected KEY=VALUE, found no = in {_short(text)}", WRONG_USE)
        if key in fields:
            raise CommandError(f"--field: expected each key once, found {_short(key)} again", WRONG_USE)
        fields[key] = value
    return fields


def _kind(name: str) -> RecordKind:
    if name in BY_HAND:
        return BY_HAND[name]
    near = difflib.get_close_matches(name, BY_HAND, n=1)
    hint = f"did you mean {near[0]}" if near else f"one of {', '.join(BY_HAND)}"
    raise CommandError(f"EVENT: expected what can be recorded, found {_short(name)}; {hint}", WRONG_USE)


def _check(name: str, kind: RecordKind, fields: dict[str, str], at: str | None) -> None:
    """Say what is wrong with the fields before anybody is asked to sign them; the signer looks again."""
    forms = {**kind.required, **kind.optional}
    for key in fields:
        if key not in forms:
            near = difflib.get_close_matches(key, forms, n=1)
            hint = f"did you mean {near[0]}" if near else f"{name} has {', '.join(forms)}"
            raise CommandError(f"--field: expected a field of {name}, found {_short(key)}; {hint}", WRONG_USE)
    try:
        checked(name, fields, at)
    except FormatError as error:
        raise CommandError(str(error), WRONG_USE) from None


def _described(name: str) -> str:
    kind = BY_HAND[name]
    fields = [*kind.required, *(f"[{each}]" for each in kind.optional)]
    return f"{name.ljust(18)} {kind.meaning}\n{' ' * 19}{' '.join(fields)}"


def _is_text(text: str) -> bool:
    return text.replace("\n", " ").isprintable()


def _short(text: str) -> str:
    return repr(printable(text, ECHOED))
