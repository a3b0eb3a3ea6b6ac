"""The private key: whether it is there, is one, is the one that signs, and is its owner's alone."""

from __future__ import annotations

import os

from agent.doctor.check import Check, fine, note, wrong
from agent.places import Places
from agent.users import acting_for
from evidence.errors import DamageError, EvidenceError, UnsafeStateError
from evidence.keys import PublicKey
from evidence.reader import StoreReader
from program.text import printable

SUBJECT = "key"
LOST = "the next signature makes a new one and signs that: tell whoever noted the old fingerprint"
REACHED = "if others may have read it: evidenced keys rotate"


def check_key(places: Places) -> Check:
    """Return how the private key was found, as far as this user can look."""
    try:
        if not _is_ours(places.state):
            return note(SUBJECT, "this user cannot look at it", "ask as root, or as the owner of the log")
        key = _read(places.state)
    except FileNotFoundError:
        key = None
    except UnsafeStateError as error:
        found = f"{error.where}: expected {error.expected}, found {error.found}"
        return wrong(SUBJECT, printable(found), f"{error.step}; {REACHED}")
    except DamageError as error:
        return wrong(SUBJECT, printable(str(error)), LOST)
    except (EvidenceError, OSError) as error:
        return wrong(SUBJECT, printable(str(error)), "see the folders above")
    if key is None:
        return note(SUBJECT, "there is none yet", "the first signature makes it")
    return fine(SUBJECT, f"{key.fingerprint}, its owner's alone")


def _is_ours(state: str) -> bool:
    with acting_for(state):
        return os.stat(state).st_uid == os.geteuid()


def _read(state: str) -> PublicKey | None:
    with acting_for(state), StoreReader(state) as reader:
        return reader.signing_key()
