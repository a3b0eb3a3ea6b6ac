"""`evidenced-hub token`: make, list and revoke enrolment tokens."""

from __future__ import annotations

import argparse
import sys
import time

from hub import tokens
from hub.folder import visiting
from hub.times import instant
from program.errors import COULD_NOT_RUN, OK, WRONG_USE, CommandError
from program.text import columns, printable

EPILOG = """\
new prints the token, once; only its hash is kept. Write it to a file of the host: evidenced enroll --token-file FILE.
A revoked token enrols nobody any more; hosts that are enrolled stay so."""
_DAY_S = 24 * 3600
_LABEL = 100


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("action", choices=("new", "revoke", "list"))
    parser.add_argument("number", nargs="?", type=int, help="which one to revoke, as list shows it")
    parser.add_argument("--data", metavar="DIR", required=True, help="the hub's folder")
    parser.add_argument("--label", metavar="TEXT", default="", help="new: what it is for")
    parser.add_argument("--days", metavar="N", type=int, help="new: it expires after N days (default: never)")
    parser.add_argument("--uses", metavar="N", type=int, help="new: it enrols N keys (default: any number)")


def run(options: argparse.Namespace) -> int:
    """Do what was asked."""
    _check(options)
    now = int(time.time())
    with visiting(options.data) as folder:
        if options.action == "new":
            expires = None if options.days is None else now + options.days * _DAY_S
            made = tokens.new(folder.database, options.label, now, expires=expires, uses=options.uses)
            sys.stdout.write(f"{made}\n")
        elif options.action == "list":
            sys.stdout.writelines(f"{line}\n" for line in _listing(tokens.listed(folder.database), now))
        elif not tokens.revoke(folder.database, options.number, now):
            raise CommandError(f"expected a token {options.number} that is not revoked, found none", COULD_NOT_RUN)
    return OK


def _check(options: argparse.Namespace) -> None:
    if (options.action == "revoke") != (options.number is not None):
        raise CommandError("expected a number with revoke, and only there; see token list", WRONG_USE)
    if any(each is not None and each < 1 for each in (options.days, options.uses)):
        raise CommandError("--days, --uses: expected positive numbers", WRONG_USE)
    if len(options.label) > _LABEL or not (options.label.isprintable()):
        raise CommandError(f"--label: expected at most {_LABEL} printable characters, found others", WRONG_USE)


def _listing(found: list[tokens.TokenState], now: int) -> list[str]:
    rows = [("NUMBER", "MADE", "STATE", "LABEL")]
    rows += [(f"{each.id}", instant(each.created), _state(each, now), printable(each.label)) for each in found]
    return columns(rows)


def _state(token: tokens.TokenState, now: int) -> str:
    if token.revoked is not None:
        return f"revoked {instant(token.revoked)}"
    if token.expires is not None and now >= token.expires:
        return f"expired {instant(token.expires)}"
    left = "any number" if token.uses is None else f"{token.uses} left"
    return f"good, {left}" + ("" if token.expires is None else f", until {instant(token.expires)}")
