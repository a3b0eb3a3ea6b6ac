"""The command line of `evidenced-hub`: find the command, and import that one only."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from program.command_line import Command, carried_out, parser_of, parser_of_all
from program.errors import WRONG_USE

PROGRAM = "evidenced-hub"
COMMANDS = {
    "serve": "take batches from agents, and answer with signatures",
    "hosts": "who is enrolled, when each was last heard of, who is missing",
    "expect": "say which hosts ought to report",
    "token": "make, list and revoke enrolment tokens",
    "pack": "write one pack over all hosts for an auditor",
}
EPILOG = "exit codes: 0 fine, 2 wrong use, 3 could not run or incomplete. Manual: evidenced-hub(1)."
ABOUT = "Takes evidence of many hosts, verifies it, keeps it."


def main(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    name = arguments[0] if arguments else None
    if name is None or name not in COMMANDS:
        parser = parser_of_all(PROGRAM, ABOUT, COMMANDS, EPILOG)
        parser.parse_args(arguments)  # --help, or an error
        parser.print_help(sys.stderr)
        return WRONG_USE
    command: Command = importlib.import_module(f"hub.commands.{name}")
    return carried_out(command, parser_of(PROGRAM, name, COMMANDS[name]), arguments[1:])
