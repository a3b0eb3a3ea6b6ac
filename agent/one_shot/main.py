"""The command line of `evidenced.pyz`: options alone make a pack, a name is one of the commands that keep no log."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from agent import main as installed
from agent.version import VERSION
from program.command_line import carried_out
from program.parser import Parser

PROGRAM = "evidenced.pyz"
COMMANDS = ("inventory", "show-payload", "tables", "verify")

DESCRIPTION = """\
Read this host and write one signed pack of it, without installing anything.

The key is made for this pack and is in memory only: note the fingerprint that is printed, since whoever checks the
pack will ask you for it. Nothing is left on the host but the pack."""


def main(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    name = next((each for each in arguments if not each.startswith("-")), None)
    if name in COMMANDS and arguments[0] == name:
        return installed.main(_printed_only(arguments))
    from agent.one_shot import packing  # noqa: PLC0415  the commands above need little of it

    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s [OPTION…] | COMMAND [OPTION…]",
        description=DESCRIPTION,
        epilog=packing.EPILOG + _listing(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"evidenced {VERSION}")
    if arguments and arguments[0] == name:
        parser.error(f"expected one of the commands {', '.join(COMMANDS)}, or options alone, found {name!r}")
    return carried_out(packing, parser, arguments)


def _printed_only(arguments: Sequence[str]) -> list[str]:
    """Return the arguments so that an inventory is not signed into a log: there is none to be left here."""
    if arguments[0] == "inventory" and "--no-sign" not in arguments:
        return [*arguments, "--no-sign"]
    return list(arguments)


def _listing() -> str:
    width = max(map(len, COMMANDS))
    lines = (f"  {name.ljust(width)}  {installed.COMMANDS[name]}" for name in COMMANDS if name != "inventory")
    inventory = f"  {'inventory'.ljust(width)}  read this host and show what was found; nothing is signed"
    return "\n".join(("", "", "commands:", inventory, *lines, "Each explains itself with --help."))
