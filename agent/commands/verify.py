"""`evidenced verify`: the auditor's script, word for word, from inside the program."""

from __future__ import annotations

import argparse
import sys

from evidence import verify
from program.interrupts import hang_ups_told


def declare(parser: argparse.ArgumentParser) -> None:
    """Take every argument as it is: the script has its own, and `--help` shows them."""
    parser.prefix_chars = "\0"
    parser.add_help = False
    parser.add_argument("arguments", nargs=argparse.REMAINDER)


def run(options: argparse.Namespace) -> int:
    """Return the script's verdict; a reader who has gone is told by it, and not by SIGPIPE, which is no verdict."""
    with hang_ups_told():
        return verify.verdict(options.arguments, sys.stdout, "evidenced verify")
