"""Room that is kept for the day the disk is full: enough to sign that it is, and since when.

`reserve` holds 256 KiB of nothing. When an entry does not fit, the file shrinks, which gives its blocks back,
and its first line says since when and how often entries did not fit. The next entry that fits is followed by an
event that says so, and the room is taken again.
"""

from __future__ import annotations

import contextlib
import errno
import os

import msgspec

from evidence import restricted_json
from evidence.errors import EvidenceError
from evidence.state import Folder, write_all

NAME = "reserve"
SIZE_BYTES = 256 * 1024
_LINE_BYTES = 512
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """Since when entries did not fit (wall clock), and how many."""

    since: str
    failures: int


def fill(state: Folder) -> None:
    """Take the room if it is not taken; on a full disk that waits for another time."""
    facts = state.facts(NAME)
    if facts is None or facts.st_size != SIZE_BYTES:
        with contextlib.suppress(OSError):
            state.replace(NAME, bytes(SIZE_BYTES))


def spend(state: Folder, wall: str) -> bool:
    """Note that an entry did not fit; return whether it is the first, so that there is room now to sign that.

    The line goes over bytes the file has already: that needs no room.
    """
    before = spent(state)
    now = Spent(since=wall, failures=1) if before is None else Spent(since=before.since, failures=before.failures + 1)
    try:
        _note(state, restricted_json.encode(now))
    except FileNotFoundError:
        return False
    return before is None


def told(state: Folder) -> None:
    """Forget what is signed now; the disk may still be too full to take the room again. Raises: OSError."""
    _note(state, b"")


def _note(state: Folder, text: bytes) -> None:
    descriptor = state.open(NAME, os.O_WRONLY)
    try:
        write_all(descriptor, text.ljust(_LINE_BYTES - 1) + b"\n")
        os.ftruncate(descriptor, _LINE_BYTES)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def spent(state: Folder) -> Spent | None:
    """Return since when entries did not fit, None if the last one did."""
    facts = state.facts(NAME)
    if facts is None or facts.st_size == SIZE_BYTES:
        return None
    try:
        return msgspec.convert(restricted_json.decode(state.read(NAME, _LINE_BYTES).rstrip()), Spent)
    except (EvidenceError, msgspec.ValidationError):
        return None  # a damaged note about room is no reason to stop
