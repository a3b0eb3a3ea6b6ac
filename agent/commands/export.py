"""`evidenced export`: write a pack for an auditor."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import stat
import sys

from agent.configuration.loading import load
from agent.delivery import by_hand
from agent.delivery.errors import DeliveryError
from agent.period import MILLISECOND, Span, file_name, parse_since, parse_until, shown_instant, span_of
from agent.places import state_folder
from agent.terminal import counted
from evidence.pack import PackSummary, export
from evidence.reader import StoreReader
from program.errors import COULD_NOT_RUN, OK, WRONG_USE, CommandError
from program.text import printable

EPILOG = """\
Days are in UTC and both are included. Without --since and --until the pack covers the log from its first snapshot
to its last entry. The pack holds the rows that were collected: see evidenced show-payload and docs/privacy.md before
you hand it out.

exit codes: 0 written (what was pruned is left out), 2 wrong use, 3 not written, or what damage took is left out"""

ORGANISATION_LIMIT = 100
ENDINGS = (".tar.gz", ".tgz", ".tar")


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("--since", metavar="DAY", help="first day of the period")
    parser.add_argument("--until", metavar="DAY", help="last day of the period")
    parser.add_argument("-o", "--output", metavar="FILE", help="pack to write; ends in .tar.gz, .tgz or .tar")
    parser.add_argument(
        "--org", metavar="NAME", help="organisation, in the pack and in its name; default: as configured"
    )
    parser.add_argument("--organisation", dest="org", help=argparse.SUPPRESS)  # as the configuration calls it
    parser.add_argument("--overwrite", action="store_true", help="replace a file that stands there")
    parser.add_argument(
        "--batches",
        metavar="DIR",
        help="write batches for a hub into this folder, as a sink would; see evidenced import",
    )
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")


def run(options: argparse.Namespace) -> int:
    """Write the pack and say what is in it."""
    check_organisation(options.org)
    if options.output is not None:
        check_output(options.output)
    since, until = _bounds(options)
    if options.batches is not None:
        if (options.output, options.org, options.until) != (None, None, None) or options.overwrite:
            raise CommandError("--batches: expected --since and --state beside it at most, found others", WRONG_USE)
        return _write_batches(options.batches, state_folder(options.state), since)
    with StoreReader(state_folder(options.state)) as reader:
        span = span_of(reader)
        if since is not None and until is None and since >= span.behind:
            found = f"the log's last entry of {shown_instant(span.behind - MILLISECOND)}"
            raise CommandError(f"--since: expected a period with entries, found {found}", COULD_NOT_RUN)
        since, until = since or span.begin, until or span.behind
        if since >= until:
            found = f"{shown_instant(since)} to {shown_instant(until)}"
            raise CommandError(f"expected a period that begins before it ends, found {found}", WRONG_USE)
        organisation = options.org or load().configuration.organisation
        name = options.output or file_name(organisation or "host", since, until)
        summary = export(reader, name, since=since, until=until, organisation=organisation, overwrite=options.overwrite)
    _print(name, summary)
    _warn(span, since, until)
    return COULD_NOT_RUN if summary.damaged or summary.lost else OK


def _write_batches(folder: str, state: str, since: dt.datetime | None) -> int:
    """Write what a hub lacks, or all of it, and say what stands in the folder now."""
    _check_folder(folder)
    wall = None if since is None else f"{since:%Y-%m-%dT%H:%M:%S}"
    try:
        for each in by_hand.write_all(state, folder, wall):
            print(f"{each.name}: entries {each.first} to {each.size - 1}{'' if each.new else ', there already'}")
    except DeliveryError as error:
        raise CommandError(str(error)) from None
    return OK


def _check_folder(folder: str) -> None:
    """Refuse what cannot take batches before anything is read. Raises: OSError; CommandError."""
    found = "another kind of file"
    try:
        if stat.S_ISDIR(os.stat(folder).st_mode):
            return
    except FileNotFoundError:
        found = "nothing of that name"
    raise CommandError(f"--batches: {folder}: expected a folder to write into, found {found}; make one: mkdir")


def _bounds(options: argparse.Namespace) -> tuple[dt.datetime | None, dt.datetime | None]:
    since = None if options.since is None else parse_since(options.since)
    until = None if options.until is None else parse_until(options.until)
    return since, until


def check_organisation(name: str | None) -> None:
    """Refuse a name that no pack can carry; None is none."""
    if name is not None and not (0 < len(name) <= ORGANISATION_LIMIT and name.isprintable()):
        raise CommandError(f"--org: expected 1 to {ORGANISATION_LIMIT} printable characters, found others", WRONG_USE)


def check_output(name: str) -> None:
    """Refuse what cannot become a pack before anything is read."""
    if os.path.isdir(name):
        raise CommandError(f"--output: {name}: expected a file to write, found a folder", WRONG_USE)
    if not name.endswith(ENDINGS):
        raise CommandError(f"--output: {name}: expected a name that ends in {', '.join(ENDINGS)}", WRONG_USE)


def _warn(span: Span, since: dt.datetime, until: dt.datetime) -> None:
    """Say so if a verifier cannot call the period complete: because of its begin, and because of its end."""
    _warn_of_begin(span, since, until)
    if until > span.behind:
        last, behind = shown_instant(span.behind - MILLISECOND), shown_instant(span.behind)
        sys.stderr.write(
            f"evidenced export: the period ends {shown_instant(until)}, the log's last entry is of {last}: the pack "
            "says nothing about the time between; where readings were promised that are missing there, a verifier will "
            f"call the period incomplete; it can be complete with --until {behind}\n"
        )


def _warn_of_begin(span: Span, since: dt.datetime, until: dt.datetime) -> None:
    late = span.complete_from(since, until)
    if late is None:
        return
    begins, from_when = shown_instant(since), shown_instant(late)
    if since < span.first:
        why = f"the period begins {begins}, the log {shown_instant(span.first)}"
    else:
        why = f"the period begins {begins}, and a table was first read {from_when}"
    sys.stderr.write(
        f"evidenced export: {why}: a verifier will call the period incomplete; it can be complete with "
        f"--since {from_when}\n"
    )


def _print(name: str, summary: PackSummary) -> None:
    print(f"{printable(name)}: {counted(summary.size, 'byte')}")
    print(f"  period   {summary.since} to {summary.until}")
    print(f"  holds    {counted(summary.entries, 'entry')}, {counted(summary.blobs, 'blob')}")
    print(f"  sha256   {summary.tar_sha256}  (of the tar stream; equal logs and options give an equal one)")
    for fingerprint in summary.fingerprints:
        print(f"  key      {fingerprint}")
    for count, noun, what in (
        (len(summary.missing), "blob", "pruned or lost"),
        (len(summary.damaged), "blob", "damaged and left out"),
        (summary.lost, "entry", "lost to damage"),
    ):
        if count:
            sys.stderr.write(f"evidenced export: {counted(count, noun)} {'is' if count == 1 else 'are'} {what}\n")
