"""`evidenced inventory`: read the host, show it, and sign it into the log."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence

import msgspec

from agent.collection.receiver import Collection
from agent.configuration.leaving_out import ByHand, by_hand
from agent.observing import Target, observation, read_tables, secret_of
from agent.places import places
from agent.signing.door import Door, open_door
from agent.summary import gap_lines, table_lines, total_line
from agent.terminal import Progress
from agent.version import VERSION
from evidence.statement import Observation
from program.errors import COULD_NOT_RUN, OK, WRONG_USE, CommandError
from program.text import printable

EPILOG = """\
A whole inventory of this host is shown and signed into the log. With --table, --json, --gaps or --root it is only
printed; --sign signs it all the same.

With one --table, --json prints its rows, one JSON object a line, exactly as they are signed; with several, each line is
{"row": …, "table": NAME}. --gaps prints {"gap": …, "table": NAME} in place of rows.

exit codes: 0 fine (gaps are shown), 2 wrong use, 3 a table failed, or with --strict any gap"""

DURATION = re.compile(r"([1-9][0-9]{0,5})(h|d)")


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("--table", action="append", default=[], metavar="NAME", help="read this table only; repeatable")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print rows as NDJSON, and nothing else, on stdout")
    form.add_argument("--gaps", action="store_true", help="print gaps as NDJSON, and nothing else, on stdout")
    parser.add_argument("--root", default="/", metavar="DIR", help="read a mounted image or a recorded host instead")
    signing = parser.add_mutually_exclusive_group()
    signing.add_argument("--sign", action="store_true", default=None, help="append to the log in any case")
    signing.add_argument("--no-sign", action="store_false", dest="sign", help="do not append to the log")
    parser.add_argument("--strict", action="store_true", help="exit 3 if there is any gap")
    parser.add_argument(
        "--every", metavar="TIME", help="promise, signed, that this inventory is repeated within TIME (12h, 31d)"
    )
    parser.add_argument(
        "--label", action="append", default=[], metavar="KEY=VALUE", help="a label of this host, signed; repeatable"
    )
    parser.add_argument("--config", metavar="FILE", help="configuration: labels, tables and columns to leave out")
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")


def run(options: argparse.Namespace) -> int:
    """Read, sign, show; return the exit code."""
    where = places(options.state)
    chosen = by_hand(options.config, options.table, options.label)
    if not _is_signed(options):
        return _run(options, chosen, None, where.state)
    with open_door(where) as door:
        return _run(options, chosen, door, where.state)


def _run(options: argparse.Namespace, chosen: ByHand, door: Door | None, state: str) -> int:
    promise = _promise(options.every)
    quiet = options.json or options.gaps
    target = Target(options.root, secret_of(state) if door is None else door.secret)
    progress, started = Progress(), time.monotonic()
    try:
        seen = observation(target, chosen.labels)
        collections = read_tables(target, chosen.tables, progress)
    finally:
        progress.clear()
    elapsed_ms = round((time.monotonic() - started) * 1000)
    signed, news = "Not signed: printed only.\n", list[str]()
    try:  # signed first: a reader who goes away must not cost the evidence; and shown even if it cannot be signed
        if door is not None:
            signed = _append(door, state, collections, seen, promise, chosen.disabled, news)
    finally:
        if options.gaps:
            _print_gaps(collections)
        elif options.json:
            _print_rows(collections)
        print_summary(seen, target, collections, elapsed_ms, to_stderr=quiet)
        sys.stderr.writelines(news)
    if door is not None or not quiet:
        (sys.stderr if quiet else sys.stdout).write(signed)
    return exit_code(collections, strict=options.strict)


def _is_signed(options: argparse.Namespace) -> bool:
    """Return whether to append to the log: as told, or if this is a whole inventory of this host, for people."""
    if options.sign is not None:
        sign: bool = options.sign
    else:
        sign = not (options.table or options.json or options.gaps or os.path.realpath(options.root) != "/")
    if not sign and (options.every or options.label):
        raise CommandError("--every, --label: expected an inventory to sign, found one to print; add --sign", WRONG_USE)
    return sign


def _append(
    door: Door,
    state: str,
    collections: Sequence[Collection],
    seen: Observation,
    promise: int | None,
    disabled: Sequence[str],
    news: list[str],
) -> str:
    """Append the snapshot and return what to say about it; `news` is what the store has to say, come what may."""
    try:
        entry = door.snapshot(collections, seen, {each.table.name: promise for each in collections}, disabled)
    finally:
        news += door.news()
    lines = [
        f"Signed as entry {entry.sequence} of {entry.origin}",
        f"  log {state}",
        f"  key {door.fingerprint}",
    ]
    if entry.sequence <= 1:
        lines.append("Note the key's fingerprint elsewhere: whoever checks a pack will ask you for it.")
    return "\n".join((*lines, ""))


def _print_rows(collections: Sequence[Collection]) -> None:
    out = sys.stdout.buffer
    alone = len(collections) == 1
    for each in collections:
        for line in each.rows:
            out.write((line if alone else b'{"row":' + line + b',"table":"' + each.table.name.encode() + b'"}') + b"\n")
    out.flush()


def _print_gaps(collections: Sequence[Collection]) -> None:
    out = sys.stdout.buffer
    for each in collections:
        for gap in each.gaps:
            out.write(msgspec.json.encode({"gap": gap, "table": each.table.name}, order="sorted") + b"\n")
    out.flush()


def print_summary(
    seen: Observation, target: Target, collections: Sequence[Collection], elapsed_ms: int, *, to_stderr: bool
) -> None:
    """Print what a person wants to see; beside NDJSON only that something is missing, on stderr."""
    gaps = gap_lines(collections)
    missing = ["", "Not read:", *gaps] if gaps else []
    if to_stderr:
        sys.stderr.write("\n".join((*missing[1:], "")) if missing else "")
        return
    head = f"evidenced {VERSION} · {printable(seen.name)} · {_what_was_read(target, privileged=seen.privileged)}"
    print("\n".join((head, "", *table_lines(collections), "", total_line(collections, elapsed_ms), *missing, "")))


def _what_was_read(target: Target, *, privileged: bool) -> str:
    if target.recorded:  # it tells everyone the same
        return f"recorded host {printable(target.root)}"
    who = "as root" if privileged else "as an ordinary user: much can be read by root only"
    return f"{'this host' if target.live else f'image {printable(target.root)}'}, read {who}"


def exit_code(collections: Sequence[Collection], *, strict: bool) -> int:
    """Return whether all was read that should have been."""
    failed = any(each.coverage == "failed" for each in collections)
    return COULD_NOT_RUN if failed or (strict and any(each.gaps for each in collections)) else OK


def _promise(text: str | None) -> int | None:
    """Return the seconds of `12h` or `31d`."""
    if text is None:
        return None
    found = DURATION.fullmatch(text)
    if not found:
        raise CommandError(f"--every: expected a number of hours or days such as 12h or 31d, found {text!r}", WRONG_USE)
    return int(found[1]) * {"h": 3600, "d": 86400}[found[2]]
