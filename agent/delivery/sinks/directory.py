"""A folder: a stick, a share, the way over an air gap. A file is there whole and checked, or not at all."""

from __future__ import annotations

import errno
import hashlib
import os

from agent.delivery import outbox
from agent.delivery.errors import BatchError
from agent.delivery.outbox import Outgoing
from agent.delivery.results import Delivered, Held, Result, Retry
from evidence.errors import EvidenceError, PackError
from evidence.pack_target import SHARED, Target

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)


class DirectorySink:
    """Puts batches into a folder that somebody else made; a stick that is not plugged in is waited for."""

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self._path = path

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def deliver(self, batch: Outgoing) -> Result:
        """Copy a batch, unless the folder has these entries already."""
        path = os.path.join(self._path, batch.name)
        try:
            if not has(path, batch):
                write(path, batch)
        except PackError as error:
            return Retry(str(error))
        except OSError as error:
            return refusal(self._path, error)
        return Delivered()


def has(path: str, batch: Outgoing) -> bool:
    """Return whether a file is this batch or, whole and checked, an earlier one of the same entries.

    A batch that was replaced by one without rows must not take the place of the one that has them.
    Raises: OSError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    try:
        if outbox.digest(descriptor) == batch.sha256:
            return True
    finally:
        os.close(descriptor)
    return is_sound(path, batch)


def is_sound(path: str, batch: Outgoing) -> bool:
    """Return whether a file holds the same leaves as a batch, and every byte of it is as it must be."""
    from evidence.batch_read import open_batch  # noqa: PLC0415  seldom needed, and slow to load

    try:
        with open_batch(path) as there:
            if there.check(batch.head.key).leaves != batch.head.leaves:
                return False
            for _ in there.blobs():
                pass
            return there.finished
    except EvidenceError:
        return False


def is_whole(path: str) -> bool:
    """Return whether a file is a batch of which every byte is as it must be. Raises: OSError."""
    from evidence.batch_read import open_batch  # noqa: PLC0415  as above

    try:
        with open_batch(path) as there:
            there.check()
            for _ in there.blobs():
                pass
            return there.finished
    except EvidenceError:
        return False


def write(path: str, batch: Outgoing) -> None:
    """Write a batch under another name, sync it, read it back, and only then let it have its own.

    Raises: OSError; PackError when it reads back otherwise; BatchError.
    """
    _remove_halves(path)
    target = Target(path, overwrite=True, mode=SHARED)
    written = hashlib.sha256()
    try:
        for block in batch.blocks():
            written.update(block)
            target.write(block)
        if written.hexdigest() != batch.sha256:
            raise BatchError(batch.name, "the bytes it had a moment ago", "others")
        target.commit()
    finally:
        target.close()


def _remove_halves(path: str) -> None:
    """Remove what earlier attempts left that were killed; only one attempt is made at a time."""
    folder, name = os.path.split(path)
    for each in os.listdir(folder):
        if each.startswith(f".{name}.") and each.endswith(".part"):
            os.unlink(os.path.join(folder, each))


def refusal(folder: str, error: OSError) -> Result:
    """Return what a file system's refusal means: room and sticks come back by themselves, rights do not."""
    if error.errno in _FULL:
        return Retry(f"{folder}: expected room for a batch, found {(error.strerror or '').lower()}; make room")
    if error.errno in _CLOSED:
        return Held(
            f"{folder}: expected a folder to write to, found {(error.strerror or '').lower()}; see to its owner"
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Retry(f"{folder}: expected the folder, found none; plug in or mount what it is on")
    return Retry(f"{folder}: expected to write a batch, found {(error.strerror or 'an error').lower()}")
