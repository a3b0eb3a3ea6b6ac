"""`evidenced-hub expect`: say which hosts ought to report."""

from __future__ import annotations

import argparse
import sys

from hub.folder import visiting
from hub.presence import expect, expected, parse_list
from program.errors import COULD_NOT_RUN, OK, WRONG_USE, CommandError

EPILOG = """\
FILE holds one host name a line, as hosts call themselves when they enrol; - is stdin. It replaces the list of before.
NAME SHA256:… speaks of the one host of that name that has this key: the others of the name are not expected.
Without a list every enrolled host is expected. An empty file takes the list away. Without FILE the list is printed."""
_LIMIT = 32 << 20


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("file", nargs="?", metavar="FILE")
    parser.add_argument("--data", metavar="DIR", required=True, help="the hub's folder")


def run(options: argparse.Namespace) -> int:
    """Replace the list, or print it."""
    names = None if options.file is None else parse_list(_text(options.file), options.file)
    with visiting(options.data) as folder:
        if names is None:
            sys.stdout.buffer.writelines(f"{each}\n".encode() for each in expected(folder.database))  # as it is read
        else:
            expect(folder.database, names)
            sys.stderr.write(f"evidenced-hub expect: hosts on the list: {len(names)}\n")
    return OK


def _text(path: str) -> str:
    if path == "-" and sys.stdin is None:  # nothing at all would take the list away
        raise CommandError("standard input: expected an open file, found it closed", COULD_NOT_RUN)
    if path == "-":
        data = sys.stdin.buffer.read(_LIMIT + 1)
    else:
        with open(path, "rb") as file:
            data = file.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise CommandError(f"{path}: expected at most {_LIMIT} bytes, found more", WRONG_USE)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise CommandError(f"{path}: expected UTF-8, found other bytes", COULD_NOT_RUN) from None
