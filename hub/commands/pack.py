"""`evidenced-hub pack`: write one pack over all hosts for an auditor."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import re
import sys

from hub.blob_files import BlobFiles
from hub.fleet import FleetSummary, Period, utc_now, write
from hub.folder import visiting
from program.errors import COULD_NOT_RUN, OK, WRONG_USE, CommandError
from program.text import printable

EPILOG = """\
Days are in UTC and both are included. The pack holds a pack of each host with evidence in the period, an index, and the
names of hosts that were expected and did not report, or stopped. verify.py checks all of it in one run.

A log may be here although the one before it, which its first entry names, never came: the entries that are not here are
named on stderr.

exit codes: 0 written, 2 wrong use, 3 not written, or hosts or entries are missing, or what was lost is left out"""

ENDINGS = (".tar", ".tar.gz", ".tgz")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
_ORGANISATION = 100


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("--data", metavar="DIR", required=True, help="the hub's folder")
    parser.add_argument("--since", metavar="DAY", required=True, help="first day of the period")
    parser.add_argument("--until", metavar="DAY", required=True, help="last day of the period")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        required=True,
        help="ends in .tar (host packs are compressed already), .tar.gz or .tgz",
    )
    parser.add_argument("--org", metavar="NAME", help="organisation, in the pack")
    parser.add_argument("--organisation", dest="org", help=argparse.SUPPRESS)  # as the configuration of agents calls it
    parser.add_argument("--overwrite", action="store_true", help="replace a file that stands there")


def run(options: argparse.Namespace) -> int:
    """Write the pack and say what is in it."""
    name = options.org
    if name is not None and not (0 < len(name) <= _ORGANISATION and name.isprintable()):
        raise CommandError(f"--org: expected 1 to {_ORGANISATION} printable characters, found others", WRONG_USE)
    if not options.output.endswith(ENDINGS):
        raise CommandError(f"--output: expected a name that ends in {', '.join(ENDINGS)}", WRONG_USE)
    period = Period(bound(options.since, "--since", days=0), bound(options.until, "--until", days=1), name)
    if period.since >= period.until:
        raise CommandError("--since, --until: expected the first before the second", WRONG_USE)
    with visiting(options.data) as folder, contextlib.closing(BlobFiles(folder.blobs)) as blobs:
        summary = write(folder.database, blobs, options.output, period, utc_now(), overwrite=options.overwrite)
    lost = _print(options.output, summary)
    whole = summary.packs and not (lost or summary.failed or summary.missing or summary.holes)
    return OK if whole else COULD_NOT_RUN


def bound(text: str, option: str, *, days: int) -> dt.datetime:
    """Return a day, or the day behind it, or an exact instant. Raises: CommandError."""
    try:
        if _INSTANT.match(text):
            return dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.timezone.utc)
        if _DAY.match(text):
            day = dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.timezone.utc)
            return day + dt.timedelta(days=days)
    except (ValueError, OverflowError):
        pass
    raise CommandError(f"{option}: expected 2026-01-31 or 2026-01-31T07:00:00Z, found another text", WRONG_USE)


def _print(path: str, summary: FleetSummary) -> int:
    """Say what was written, and return how much of it was lost or damaged."""
    out, lost = sys.stdout.write, 0
    out(f"{printable(path)}: {summary.size:,} bytes\n")
    out(f"  hosts    {len(summary.packs)}\n")
    out(f"  entries  {sum(each.summary.entries for each in summary.packs)}\n")
    out(f"  sha256   {summary.tar_sha256}  (of the tar stream)\n")
    for each in summary.packs:
        damaged = len(each.summary.damaged) + each.summary.lost
        lost += damaged
        if damaged:
            sys.stderr.write(f"evidenced-hub pack: {printable(each.name)}: {damaged} entries or blobs are lost\n")
    if not summary.packs:
        sys.stderr.write("evidenced-hub pack: expected evidence of a host in the period, found none; see hosts\n")
    for name, why in summary.failed:
        sys.stderr.write(f"evidenced-hub pack: {printable(name)}: left out: {printable(why)}\n")
    for name, hole in summary.holes:
        which = f"entries {hole.first} to {hole.size - 1} of log {hole.log}"
        sys.stderr.write(
            f"evidenced-hub pack: {printable(name)}: {which} have not come; log {hole.following} follows\n"
        )
    for gone in summary.missing:
        last = "never reported" if gone["last"] is None else f"silent since {gone['last']}"
        sys.stderr.write(f"evidenced-hub pack: {printable(str(gone['name']))}: {last}\n")
    return lost
