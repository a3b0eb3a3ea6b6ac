"""`evidenced verify`: the auditor's script, word for word, from inside the program."""

from __future__ import annotations

import argparse
import sys

from evidence import verify


def declare(parser: argparse.ArgumentParser) -> None:
    """Take every argument as it is: the script has its own, and `--help` shows them."""
    parser.prefix_chars = "\0"
    parser.add_help = False
    parser.add_argument("arguments", nargs=argparse.REMAINDER)


def run(options: argparse.Namespace) -> int:
    """Return the script's verdict."""
    return verify.main(options.arguments, sys.stdout, "evidenced verify")
