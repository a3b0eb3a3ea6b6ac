"""The writer's lock: one program at a time appends to a state folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from evidence.errors import BusyError
from evidence.state import Folder

NAME = "lock"
_POLL_S = 0.05
_DIGITS = 10


@contextlib.contextmanager
def writing(state: Folder, wait_s: float) -> Iterator[None]:
    """Hold the lock; the kernel gives it back when the process ends, however it ends.

    Raises: BusyError when another process still holds it after `wait_s` seconds.
    """
    descriptor = _locked(state, time.monotonic() + wait_s, wait_s)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _locked(state: Folder, deadline: float, wait_s: float) -> int:
    while True:
        descriptor = state.open(NAME, os.O_RDWR | os.O_CREAT)
        try:
            if _taken(descriptor) and _still_there(state, descriptor):
                _sign(descriptor)
                return descriptor
            _check_patience(state, descriptor, deadline, wait_s)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(_POLL_S)


def _check_patience(state: Folder, descriptor: int, deadline: float, wait_s: float) -> None:
    if time.monotonic() >= deadline:
        raise BusyError(
            state.path,
            f"to be its only writer within {wait_s:g} s",
            f"process {_holder(descriptor)} writing",
            "wait for it to end, then try again",
        )


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _still_there(state: Folder, descriptor: int) -> bool:
    """Tell whether the name still leads to what was locked: someone may have removed the file meanwhile."""
    named = state.facts(NAME)
    return named is not None and os.path.samestat(named, os.fstat(descriptor))


def _sign(descriptor: int) -> None:
    """Leave our process id for the message of those who wait; a full disk may refuse it, and that is fine."""
    with contextlib.suppress(OSError):
        os.pwrite(descriptor, f"{os.getpid():<{_DIGITS}}\n".encode("ascii"), 0)


def _holder(descriptor: int) -> str:
    text = os.pread(descriptor, _DIGITS, 0).decode("ascii", "replace").strip()
    return text if text.isascii() and text.isdigit() else "(unknown)"
