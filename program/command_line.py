"""A command line of one word and its options: what is offered, and errors as one line and an exit code."""

from __future__ import annotations

import argparse
import os
import select
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol

from evidence.errors import EvidenceError
from program.errors import COULD_NOT_RUN, WRONG_USE, CommandError
from program.parser import Parser
from program.text import printable

LINE_LIMIT = 2000
"""Characters of an error: it names paths, which may be long, and it is one line."""


class Command(Protocol):
    """What the module of a command offers."""

    def declare(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options."""

    def run(self, options: argparse.Namespace) -> int:
        """Do it and return the exit code."""


def parser_of_all(program: str, description: str, commands: Mapping[str, str], epilog: str) -> Parser:
    """Return the parser of what is no command: `--help`, which names them all, or an error."""
    width = max(map(len, commands))
    listing = "\n".join(f"  {name.ljust(width)}  {text}" for name, text in commands.items())
    parser = Parser(
        prog=program,
        usage=f"{program} COMMAND [OPTION…]",
        description=f"{description}\n\ncommands:\n{listing}",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=tuple(commands), help=argparse.SUPPRESS, metavar="COMMAND")
    return parser


def parser_of(program: str, name: str, about: str) -> Parser:
    """Return the parser of one command's options; `about` is what it does, as the listing has it."""
    return Parser(
        prog=f"{program} {name}",
        description=f"{about[0].upper()}{about[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # an option added later must not change what a script means
    )


def carried_out(command: Command, parser: argparse.ArgumentParser, arguments: Sequence[str]) -> int:
    """Let a command read its options and do it; say in one line what went wrong, and return the exit code."""
    command.declare(parser)
    options = parser.parse_args(arguments)
    try:
        code = command.run(options)
        if code != WRONG_USE:  # verify says so itself where its verdict cannot be printed
            sys.stdout.flush()
    except CommandError as error:
        return _complain(parser.prog, str(error), error.code)
    except EvidenceError as error:
        return _complain(parser.prog, str(error), COULD_NOT_RUN)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_has_gone():
            return COULD_NOT_RUN
        return _complain(parser.prog, _of_system(error), COULD_NOT_RUN)
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


def _reader_has_gone() -> bool:
    """Return whether nobody reads what is printed, as in `evidenced-hub hosts | head`: there is nobody to tell."""
    asked = select.poll()
    asked.register(1, 0)
    return any(event & select.POLLERR for _, event in asked.poll(0))


def _complain(program: str, text: str, code: int) -> int:
    sys.stderr.write(f"{program}: {printable(text, LINE_LIMIT)}\n")
    return code
