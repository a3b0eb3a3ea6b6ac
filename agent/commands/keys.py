"""`evidenced keys`: the key of this host, and its rotation."""

from __future__ import annotations

import argparse
import sys

from agent.places import Places, places
from agent.signing.door import open_door
from evidence.keys import KeyCard
from evidence.reader import StoreReader
from program.errors import OK, CommandError

EPILOG = """\
show     print the key's fingerprint in the forms that other tools use; give it to whoever will check packs
rotate   make a new key, signed by the old one and the new one; the log is closed and a new one begun"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("action", choices=("show", "rotate"))
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")


def run(options: argparse.Namespace) -> int:
    """Show, or rotate and show."""
    where = places(options.state)
    before = _rotate(where) if options.action == "rotate" else None
    card = _card(where.state)
    if before is not None:
        print("Rotated: the old key signed the new one, and both are in the log.")
    print(f"fingerprint  {card.fingerprint}  (key {card.number} of this host)")
    print(f"openssh      {card.openssh}")
    print(f"hex          {card.hex}")
    print(f"vkey         {card.vkey}")
    if before is not None:
        print(
            f"Whoever noted the old fingerprint, {before.fingerprint}, has to note this one too: it signs from now on."
        )
    return OK


def _card(state: str) -> KeyCard:
    with StoreReader(state) as reader:
        card = reader.key_card()
    if card is None:
        raise CommandError("this host has no key yet; it is made by the first signature: evidenced inventory")
    return card


def _rotate(where: Places) -> KeyCard:
    """Rotate, and return what the old key was."""
    before = _card(where.state)  # a mistyped folder must not become a state, with a key that nobody has ever used
    with open_door(where) as door:
        door.rotate()
        news = door.news()
    sys.stderr.writelines(news)
    return before
