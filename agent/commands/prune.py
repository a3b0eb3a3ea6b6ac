"""`evidenced prune`: remove stored rows past their retention; the statements that name them stay."""

from __future__ import annotations

import argparse
import datetime as dt
import sys

from agent.places import places
from agent.signing.door import open_door
from agent.terminal import counted
from evidence.prune import RETENTION_DAYS
from evidence.reader import StoreReader
from program.errors import OK, CommandError


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = (
        "Rows and gaps that only entries older than this name are removed, and a signed entry says so; statements,\n"
        "leaf hashes and the last collection of each table stay. Removed rows are gone: export first what must be kept."
    )
    parser.add_argument(
        "--days",
        type=_days,
        default=RETENTION_DAYS,
        metavar="N",
        help=f"keep rows N days (default {RETENTION_DAYS})",
    )
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")


def run(options: argparse.Namespace) -> int:
    """Prune and say how much."""
    where = places(options.state)
    with StoreReader(where.state) as reader:
        begun = reader.secret() is not None
    if not begun:
        raise CommandError("there is no log yet; it is begun by the first signature: evidenced inventory")
    before = dt.datetime.now(dt.timezone.utc).replace(microsecond=0) - dt.timedelta(days=options.days)
    with open_door(where) as door:
        removed = door.prune(before)
        news = door.news()
    sys.stderr.writelines(news)
    print(f"Removed {counted(removed, 'blob')} that only entries before {before:%Y-%m-%d} name.")
    return OK


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 36500):  # noqa: PLR2004  a century
        raise argparse.ArgumentTypeError(f"expected a number of days from 1 to 36500, found {text!r}")
    return int(text)
