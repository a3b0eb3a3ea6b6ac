"""The command line: find the command, import that one only, and turn errors into a line and an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Protocol

from agent.errors import COULD_NOT_RUN, WRONG_USE, CommandError
from agent.parser import Parser
from agent.terminal import printable
from agent.version import VERSION
from evidence.errors import EvidenceError

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


LINE_LIMIT = 2000
"""Characters of an error: it names paths, which may be long, and it is one line."""


class Command(Protocol):
    """What a module of agent.commands or agent.internal offers."""

    def declare(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options."""

    def run(self, options: argparse.Namespace) -> int:
        """Do it and return the exit code."""


def main(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    parser = _parser()
    name = next((each for each in arguments if not each.startswith("-")), None)
    if name is None or name not in (*COMMANDS, *INTERNAL) or arguments[0] != name:
        parser.parse_args(arguments)  # --help, --version, or an error
        parser.print_help(sys.stderr)
        return WRONG_USE
    own = Parser(
        prog=f"evidenced {name}",
        description=_sentence(COMMANDS.get(name, "a part of the service that other parts of it start")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # an option added later must not change what a script means
    )
    command: Command = importlib.import_module(_module(name))
    return carried_out(name, command, own, arguments[1:])


def carried_out(name: str, command: Command, parser: argparse.ArgumentParser, arguments: Sequence[str]) -> int:
    """Let a command read its options and do it; say in one line what went wrong, and return the exit code."""
    command.declare(parser)
    options = parser.parse_args(arguments)
    try:
        return command.run(options)
    except CommandError as error:
        return _complain(name, str(error), error.code)
    except EvidenceError as error:
        return _complain(name, str(error), COULD_NOT_RUN)
    except OSError as error:
        return _complain(name, _of_system(error), COULD_NOT_RUN)


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


def _module(name: str) -> str:
    if name in INTERNAL:
        return f"agent.internal.{name.removeprefix('_')}"
    return f"agent.commands.{name.replace('-', '_')}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _complain(name: str, text: str, code: int) -> int:
    sys.stderr.write(f"evidenced {name}: {printable(text, LINE_LIMIT)}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name.ljust(width)}  {text}" for name, text in COMMANDS.items())
    parser = Parser(
        prog="evidenced",
        usage="evidenced COMMAND [OPTION…]",
        description=f"Signed, offline-verifiable evidence of what a Linux host really is.\n\ncommands:\n{listing}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"evidenced {VERSION}")
    parser.add_argument("command", nargs="?", choices=tuple(COMMANDS), help=argparse.SUPPRESS, metavar="COMMAND")
    return parser
