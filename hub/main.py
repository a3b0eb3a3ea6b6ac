"""The command line of `evidenced-hub`: find the command, import that one only, turn errors into a line and a code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Protocol

from evidence.errors import EvidenceError
from hub.errors import COULD_NOT_RUN, WRONG_USE, CommandError
from hub.parser import Parser
from hub.terminal import printable

COMMANDS = {
    "serve": "take batches from agents, and answer with signatures",
    "hosts": "who is enrolled, when each was last heard of, who is missing",
    "expect": "say which hosts ought to report",
    "token": "make, list and revoke enrolment tokens",
    "pack": "write one pack over all hosts for an auditor",
}
EPILOG = "exit codes: 0 fine, 2 wrong use, 3 could not run or incomplete. Manual: evidenced-hub(1)."
_LINE_LIMIT = 2000


class Command(Protocol):
    """What a module of hub.commands offers."""

    def declare(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options."""

    def run(self, options: argparse.Namespace) -> int:
        """Do it and return the exit code."""


def main(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    parser = _parser()
    name = arguments[0] if arguments else None
    if name is None or name not in COMMANDS:
        parser.parse_args(arguments)  # --help, or an error
        parser.print_help(sys.stderr)
        return WRONG_USE
    own = Parser(
        prog=f"evidenced-hub {name}",
        description=COMMANDS[name][0].upper() + COMMANDS[name][1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # an option added later must not change what a script means
    )
    command: Command = importlib.import_module(f"hub.commands.{name}")
    command.declare(own)
    options = own.parse_args(arguments[1:])
    try:
        code = command.run(options)
        sys.stdout.flush()
    except CommandError as error:
        return _complain(name, str(error), error.code)
    except EvidenceError as error:
        return _complain(name, str(error), COULD_NOT_RUN)
    except BrokenPipeError:  # `evidenced-hub hosts | head`; the signal itself would end a hub whose client is gone
        return COULD_NOT_RUN
    except OSError as error:
        return _complain(name, _of_system(error), COULD_NOT_RUN)
    return code


def _of_system(error: OSError) -> str:
    """Return what the system refused, and what to do about it where that is plain."""
    said = (error.strerror or type(error).__name__).lower()
    if not error.filename:
        return said
    where = os.fsdecode(error.filename)
    if isinstance(error, FileNotFoundError):
        return f"{where}: expected a file or folder, found {said}; see how it is spelled"
    if isinstance(error, PermissionError):
        return f"{where}: expected what this user may use, found {said}; ask as its owner or as root"
    return f"{where}: {said}"


def _complain(name: str, text: str, code: int) -> int:
    sys.stderr.write(f"evidenced-hub {name}: {printable(text, _LINE_LIMIT)}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name.ljust(width)}  {text}" for name, text in COMMANDS.items())
    parser = Parser(
        prog="evidenced-hub",
        usage="evidenced-hub COMMAND [OPTION…]",
        description=f"Takes evidence of many hosts, verifies it, keeps it.\n\ncommands:\n{listing}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=tuple(COMMANDS), help=argparse.SUPPRESS, metavar="COMMAND")
    return parser
