"""The one door for commands that append: the signer's socket where it answers, the store itself where there is none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from agent.places import Places
from agent.signing.asking import Door
from agent.signing.listening import connect
from agent.signing.local import LocalDoor
from agent.signing.remote import CONNECT_S, RemoteDoor
from evidence.errors import BusyError, StateError

__all__ = ["Door", "open_door"]

WAIT_S = 10.0
"""How long one writer waits for another."""


@contextlib.contextmanager
def open_door(places: Places, wait_s: float = WAIT_S, config: str | None = None) -> Iterator[Door]:
    """Give the door to these places; `config` is the file of `--config`, if one was given.

    Raises: StateError when there is a signer that does not let us ask.
    """
    yield RemoteDoor(places, wait_s) if _answers(places.sign_socket) else LocalDoor(places, wait_s, config)


def _answers(path: str) -> bool:
    """Return whether somebody listens there; a socket that was left behind counts for nothing."""
    try:
        connect(path, CONNECT_S).close()
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return False
    except (TimeoutError, BlockingIOError):  # its queue is full
        raise BusyError(path, "the signer to take a request", "too many that wait", "try again later") from None
    except OSError as error:
        found = (error.strerror or "an error").lower()
        step = "ask as root or, for record and wrap, as a member of group evidenced-record"
        raise StateError(path, "to speak to the signer", found, step) from None
    return True
