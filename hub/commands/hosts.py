"""`evidenced-hub hosts`: who is enrolled, when each was last heard of, who is missing."""

from __future__ import annotations

import argparse
import sys
import time

import msgspec

from hub.folder import visiting
from hub.presence import SILENT_S, HostState, hosts
from hub.times import instant
from program.errors import COULD_NOT_RUN, OK
from program.text import columns, printable

EPILOG = """\
SEEN is when the hub took the last batch; LAST is the host's own clock in its newest entry. GAPS counts signed events
that tell of an absence or damage, BLOBS what was named and has not come. Exit 3 if an expected host is silent or never
came, or if a log was forked."""
_HEAD = ("HOST", "STATE", "SEEN", "LAST", "LOGS", "ENTRIES", "GAPS", "BLOBS", "FORKS", "KEY")
_HOUR_S = 3600


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("--data", metavar="DIR", required=True, help="the hub's folder")
    parser.add_argument("--silent-after", metavar="HOURS", type=int, default=SILENT_S // _HOUR_S, help="default 24")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each host")


def run(options: argparse.Namespace) -> int:
    """Show all hosts."""
    with visiting(options.data) as folder:
        found = hosts(folder.database, int(time.time()), options.silent_after * _HOUR_S)
    if options.json:
        sys.stdout.buffer.writelines(msgspec.json.encode(each) + b"\n" for each in found)
    elif found:
        sys.stdout.writelines(f"{line}\n" for line in columns([_HEAD, *map(_row, found)]))
    else:
        sys.stderr.write("evidenced-hub hosts: no host is enrolled; see evidenced-hub token new\n")
    bad = any(each.forks or (each.expected and each.state != "reporting") for each in found)
    return COULD_NOT_RUN if bad else OK


def _row(each: HostState) -> tuple[str, ...]:
    state = each.state if each.expected else f"{each.state}, not expected"
    numbers = (each.logs, each.size, each.gaps, each.missing, each.forks)
    last = each.last_wall or "never"
    return (printable(each.name), state, instant(each.seen), last, *map(str, numbers), each.fingerprint or "-")
