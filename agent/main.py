"""The command line: find the command, import that one only, and turn errors into a line and an exit code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from agent.version import VERSION
from program.command_line import Command, carried_out, parser_of, parser_of_all
from program.errors import WRONG_USE

PROGRAM = "evidenced"
# Help lines stand here, so that `evidenced --help` need not import what the commands need.
COMMANDS = {
    "inventory": "read this host, show what was found, and sign it into the local log",
    "run": "keep this host's evidence up to date: schedule, watches, signing and delivery",
    "status": "what runs, when each table was read and is due, what waits for delivery",
    "tables": "every table: what it reads, its columns, what it needs",
    "show-payload": "print exactly what would leave this host",
    "export": "write a pack for an auditor",
    "enroll": "make this host known to a hub, and pin the hub's key",
    "ship": "deliver now what waits, and say what became of it",
    "import": "take batches in by hand: check them, file them, or forward them to a hub",
    "verify": "check packs, offline",
    "log": "show entries and checkpoints, prove that an entry is in the log",
    "keys": "show or rotate the key of this host",
    "record": "sign what people do: a backup run, a restore test, an approval, a change window",
    "wrap": "run a command, and sign that it ran and how it ended",
    "prune": "remove stored rows past their retention; statements stay",
    "config": "check the configuration, and show what is in effect",
    "doctor": "say why this host does not collect or deliver, and what to do",
}

INTERNAL = ("_collect", "_plan", "_sign", "_upload")
"""Commands that the parts of the service start; they stand in no help."""

EPILOG = """exit codes: 0 fine, 1 the evidence is bad, 2 wrong use, 3 could not run or incomplete,
            4 verify: a required witness or timestamp is missing
Each command explains itself with --help. Manual: evidenced(1)."""
ABOUT = "Signed, offline-verifiable evidence of what a Linux host really is."
OF_THE_SERVICE = "a part of the service that other parts of it start"


def main(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    name = next((each for each in arguments if not each.startswith("-")), None)
    if name is None or name not in (*COMMANDS, *INTERNAL) or arguments[0] != name:
        parser = parser_of_all(PROGRAM, ABOUT, COMMANDS, EPILOG)
        parser.add_argument("--version", action="version", version=f"{PROGRAM} {VERSION}")
        parser.parse_args(arguments)  # --help, --version, or an error
        parser.print_help(sys.stderr)
        return WRONG_USE
    command: Command = importlib.import_module(_module(name))
    return carried_out(command, parser_of(PROGRAM, name, COMMANDS.get(name, OF_THE_SERVICE)), arguments[1:])


def _module(name: str) -> str:
    if name in INTERNAL:
        return f"agent.internal.{name.removeprefix('_')}"
    return f"agent.commands.{name.replace('-', '_')}"
