"""`evidenced keys`: the key of this host, and its rotation."""

from __future__ import annotations

import argparse

from agent.errors import OK, CommandError
from agent.observing import Target, now, observation, secret_of
from agent.places import state_folder
from evidence.log import EvidenceStore
from evidence.reader import StoreReader

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
    state = state_folder(options.state)
    if options.action == "rotate":
        target = Target("/", secret_of(state, make=True))
        seen = observation(target, {})
        with EvidenceStore.open(state, machine=seen.machine, clock=now) as store:
            store.rotate(seen)
        print("Rotated: the old key signed the new one, and both are in the log.")
    with StoreReader(state) as reader:
        card = reader.key_card()
    if card is None:
        raise CommandError("this host has no key yet; it is made by the first signature: evidenced inventory")
    print(f"fingerprint  {card.fingerprint}  (key {card.number} of this host)")
    print(f"openssh      {card.openssh}")
    print(f"hex          {card.hex}")
    print(f"vkey         {card.vkey}")
    return OK
