"""`evidenced export`: write a pack for an auditor."""

from __future__ import annotations

import argparse
import datetime as dt
import sys

from agent.errors import COULD_NOT_RUN, OK, WRONG_USE, CommandError
from agent.period import file_name, parse_since, parse_until, whole
from agent.places import state_folder
from agent.terminal import printable, thousands
from evidence.pack import PackSummary, export
from evidence.reader import StoreReader

EPILOG = """\
Days are in UTC and both are included. Without --since and --until the pack covers the log from its first snapshot
to its last. The pack holds the rows that were collected: see evidenced show-payload and docs/privacy.md before you
hand it out.

exit codes: 0 written (what was pruned is left out), 2 wrong use, 3 not written, or what damage took is left out"""

ORGANISATION_LIMIT = 100


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("--since", metavar="DAY", help="first day of the period")
    parser.add_argument("--until", metavar="DAY", help="last day of the period")
    parser.add_argument("-o", "--output", metavar="FILE", help="pack to write; ends in .tar.gz or .tar")
    parser.add_argument("--org", metavar="NAME", help="organisation, as a label in the pack and in its name")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that stands there")
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")


def run(options: argparse.Namespace) -> int:
    """Write the pack and say what is in it."""
    if options.org is not None and not (0 < len(options.org) <= ORGANISATION_LIMIT and options.org.isprintable()):
        raise CommandError(f"--org: expected 1 to {ORGANISATION_LIMIT} printable characters, found others", WRONG_USE)
    with StoreReader(state_folder(options.state)) as reader:
        since, until = _bounds(options)
        if since is None or until is None:
            first, behind = whole(reader)
            since, until = since or first, until or behind
        if since >= until:
            raise CommandError(f"expected a period that begins before it ends, found {since} to {until}", WRONG_USE)
        name = options.output or file_name(options.org or "host", since, until)
        summary = export(reader, name, since=since, until=until, organisation=options.org, overwrite=options.overwrite)
    _print(name, summary)
    return COULD_NOT_RUN if summary.damaged or summary.lost else OK


def _bounds(options: argparse.Namespace) -> tuple[dt.datetime | None, dt.datetime | None]:
    since = None if options.since is None else parse_since(options.since)
    until = None if options.until is None else parse_until(options.until)
    return since, until


def _print(name: str, summary: PackSummary) -> None:
    print(f"{printable(name)}: {thousands(summary.size)} bytes")
    print(f"  period   {summary.since} to {summary.until}")
    print(f"  holds    {thousands(summary.entries)} entries, {thousands(summary.blobs)} blobs")
    print(f"  sha256   {summary.tar_sha256}  (of the tar stream; equal logs and options give an equal one)")
    for fingerprint in summary.fingerprints:
        print(f"  key      {fingerprint}")
    for digests, what in ((summary.missing, "pruned or lost"), (summary.damaged, "damaged and left out")):
        if digests:
            sys.stderr.write(f"evidenced export: {thousands(len(digests))} blobs are {what}; the pack says so\n")
    if summary.lost:
        sys.stderr.write(f"evidenced export: {thousands(summary.lost)} entries are lost to damage; the pack says so\n")
