"""A folder for the copies that some tables need, which is gone afterwards, also if this process is killed.

A small process of its own makes the folder and removes it: when it is told to, or when everybody who could tell it
has died. It is in a session of its own, so that what kills a terminal's job does not kill it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

FOLDERS = ("/tmp", "/var/tmp", "/dev/shm", "/run")  # noqa: S108  it makes a private folder there
NONE = os.devnull
"""No folder, so that nothing can be made in it: only a table that needs a copy fails, and says so."""
PATH_LIMIT = 4096


@contextlib.contextmanager
def scratch() -> Iterator[None]:
    """Have temporary folders of this process and its children made where they are certain to be removed."""
    before = tempfile.tempdir
    path, tell, guard = _guarded()
    try:
        tempfile.tempdir = path or NONE
        yield
    finally:
        tempfile.tempdir = before
        with contextlib.suppress(BrokenPipeError):  # somebody has killed it
            os.write(tell, b".")  # closing would not do: a child that hangs in the kernel has it open, too
        os.close(tell)
        os.waitpid(guard, 0)
        if path:
            shutil.rmtree(path, ignore_errors=True)


def _guarded() -> tuple[str, int, int]:
    """Return the folder, empty if none can be made; the descriptor that its guard listens to; and the guard."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        (hear, tell), (read, say) = os.pipe(), os.pipe()
        guard = os.fork()
        if guard == 0:
            os.close(tell)  # or it would wait for itself
            _be_guard(hear, say)
        os.close(hear)
        os.close(say)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with open(read, "rb") as file:
        return os.fsdecode(file.read(PATH_LIMIT)), tell, guard


def _be_guard(hear: int, say: int) -> None:
    """Make the folder, say where it is, remove it when there is a word or nobody left; every signal is blocked."""
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):  # whoever reads our output waits for those who have it open
            os.dup2(nothing, stream)
        path = _made()
        os.write(say, os.fsencode(path))
        os.close(say)
        os.read(hear, 1)
        if path:
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os._exit(0)


def _made() -> str:
    named = os.environ.get("TMPDIR", "")
    for folder in (named, *FOLDERS) if os.path.isabs(named) else FOLDERS:
        with contextlib.suppress(OSError):
            return tempfile.mkdtemp(prefix="evidenced-", dir=folder)
    return ""
