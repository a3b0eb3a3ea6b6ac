"""Reading this host into one pack, signed with a key that is made for it and forgotten with the process."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import resource
import secrets
import shlex
import sys
import time
from collections.abc import Sequence

from agent.collection.receiver import Collection
from agent.commands.export import check_organisation, check_output
from agent.commands.inventory import exit_code, print_summary
from agent.configuration.leaving_out import ByHand, by_hand
from agent.configuration.loading import load
from agent.observing import Target, now, observation, read_tables, sealed
from agent.one_shot.scratch import scratch
from agent.period import MILLISECOND, file_name
from agent.signing.desk import disabled_tables
from agent.terminal import Progress, counted
from evidence.memory_log import MemoryLog
from evidence.pack import PackSummary, export
from evidence.pack_range import moment
from evidence.pack_target import REPLACE
from evidence.statement import Observation
from program.errors import CommandError
from program.text import printable

EPILOG = """\
The pack holds the rows that were collected: see show-payload, and docs/privacy.md, before you hand it out.

exit codes: 0 written (gaps are shown), 2 wrong use, 3 not written, or a table failed, or with --strict any gap"""


PATH_LIMIT = 2000
"""Characters of a path in a line that is to be copied."""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("-o", "--output", metavar="FILE", help="pack to write; ends in .tar.gz, .tgz or .tar")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that stands there")
    parser.add_argument("--org", metavar="NAME", help="organisation, in the pack")
    parser.add_argument("--organisation", dest="org", help=argparse.SUPPRESS)  # as the configuration calls it
    parser.add_argument(
        "--label", action="append", default=[], metavar="KEY=VALUE", help="a label of this host, signed; repeatable"
    )
    parser.add_argument("--table", action="append", default=[], metavar="NAME", help="read this table only; repeatable")
    parser.add_argument("--strict", action="store_true", help="exit 3 if there is any gap")
    parser.add_argument("--config", metavar="FILE", help="configuration: labels, tables and columns to leave out")


def run(options: argparse.Namespace) -> int:
    """Read, sign, write, show; return the exit code."""
    check_organisation(options.org)
    chosen = by_hand(options.config, options.table, options.label)
    organisation = options.org or load(options.config).configuration.organisation
    _leave_no_core()
    target = Target("/", secrets.token_bytes(32))
    seen = observation(target, chosen.labels)
    path = options.output or _name(seen.name)
    _check_place(path, overwrite=options.overwrite)
    collections, elapsed_ms = _read(target, chosen)
    try:  # written first: a reader who goes away must not cost the evidence; and shown even if it cannot be written
        log, wall = _signed(collections, chosen.disabled, seen)
        behind = wall + MILLISECOND
        summary = export(log, path, since=wall, until=behind, organisation=organisation, overwrite=options.overwrite)
    finally:
        print_summary(seen, target, collections, elapsed_ms, to_stderr=False)
    sys.stdout.write(_said(path, summary, log.fingerprint))
    return exit_code(collections, strict=options.strict)


def _leave_no_core() -> None:
    """Have the kernel write no image of this process, which is to hold a key, whatever it dies of.

    Source: core(5); of 1 byte a core is given to no file, and to no program that takes cores from a pipe, either.
    """
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    limit = 1 if hard == resource.RLIM_INFINITY else min(1, hard)
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))


def _name(host: str) -> str:
    today = dt.datetime.now(dt.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    return file_name(host, today, today + dt.timedelta(days=1))


def _check_place(path: str, *, overwrite: bool) -> None:
    """Refuse what cannot become a pack before the host is read, which takes its time."""
    check_output(path)
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise CommandError(f"{folder}: expected a folder to write the pack into, found none")
    if not os.access(folder, os.W_OK | os.X_OK):
        where = os.path.realpath(folder)
        raise CommandError(f"{where}: expected a folder to write the pack into, found that it may not be; see -o FILE")
    if os.path.lexists(path) and not overwrite:
        raise CommandError(f"{path}: expected nothing there yet, found a file; {REPLACE}")


def _read(target: Target, chosen: ByHand) -> tuple[list[Collection], int]:
    """Return what was collected, and in how many milliseconds."""
    progress, started = Progress(), time.monotonic()
    with scratch():
        try:
            collections = read_tables(target, chosen.tables, progress)
        finally:
            progress.clear()
    return collections, round((time.monotonic() - started) * 1000)


def _signed(
    collections: Sequence[Collection], disabled: Sequence[str], seen: Observation
) -> tuple[MemoryLog, dt.datetime]:
    """Return the log, and when its snapshot was signed.

    Its key is made only now, so that no process that reads what others have written on this host ever held it.
    """
    log = MemoryLog(seen, now)
    clock = log.append_snapshot([*(sealed(each, None) for each in collections), *disabled_tables(disabled)], seen)
    return log, moment(clock.wall)


def _said(path: str, summary: PackSummary, fingerprint: str) -> str:
    """Return what there is to know about the pack, and what to do now."""
    return f"""\
{printable(path)}: {counted(summary.size, "byte")}
  holds    {counted(summary.entries, "entry")}, {counted(summary.blobs, "blob")}
  sha256   {summary.tar_sha256}  (of the tar stream)
  key      {fingerprint}
Note the key's fingerprint, not beside the pack: the key was in memory only and is gone; nothing else vouches for it.
The auditor checks with
  python3 verify.py {printable(shlex.quote(path), PATH_LIMIT)} --key {fingerprint}
"""
