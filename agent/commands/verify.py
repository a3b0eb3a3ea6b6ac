"""`evidenced verify`: the auditor's script, word for word, from inside the program."""

from __future__ import annotations

import argparse
import os
import sys

from agent.errors import WRONG_USE, CommandError
from agent.interrupts import hang_ups_told
from evidence import verify


def declare(parser: argparse.ArgumentParser) -> None:
    """Take every argument as it is: the script has its own, and `--help` shows them."""
    parser.prefix_chars = "\0"
    parser.add_help = False
    parser.add_argument("arguments", nargs=argparse.REMAINDER)


def run(options: argparse.Namespace) -> int:
    """Return the script's verdict: 2, as it does itself, if that cannot be printed or a defect keeps it from one.

    Another code would say something of the pack: 1 that it was tampered with, 3 that it is incomplete.
    """
    try:
        with hang_ups_told():  # and not an end by SIGPIPE, which is no verdict
            code = verify.main(options.arguments, sys.stdout, "evidenced verify")
            sys.stdout.flush()
    except Exception as error:  # as the script does around itself
        if isinstance(error, OSError):  # what is left would be tried again, and told again, at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise CommandError(f"could not say what was found: {type(error).__name__}", WRONG_USE) from error
    return code
