"""The hub's folder: what stands where, and who may write to it.

DATA/lock            one `serve` at a time
DATA/keys/           storage.pem, witness.pem, 0600, and the name they sign as
DATA/hub.sqlite      hub.database
DATA/blobs/AA/SHA256 zlib data, each blob once for all hosts
DATA/uploads/        what has arrived of batches so far
DATA/forks/          both checkpoints and the proof of each split that was seen; never removed
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import ExitStack

from evidence.errors import BusyError, StateError
from evidence.lock import writing
from evidence.state import Folder, open_state
from hub.database import Database

DATABASE = "hub.sqlite"
_LOCK_WAIT_S = 2.0


class HubFolder:
    """The open folders of a hub and its database."""

    def __init__(self, stack: ExitStack, root: Folder, *, create: bool) -> None:
        def folder(name: str) -> Folder:
            found = root.folder(name, create=create)
            stack.callback(found.close)
            return found

        self.root = root
        self.keys = folder("keys")
        self.blobs = folder("blobs")
        self.uploads = folder("uploads")
        self.forks = folder("forks")
        if create:
            os.close(root.open(DATABASE, os.O_RDWR | os.O_CREAT))  # SQLite would go by the umask
        self.database = Database(os.path.join(root.path, DATABASE))
        stack.callback(self.database.close)

    def free(self) -> int:
        """Return how many bytes the disk still has for us."""
        facts = os.fstatvfs(self.root.descriptor)
        return facts.f_bavail * facts.f_frsize


@contextlib.contextmanager
def serving(path: str) -> Iterator[HubFolder]:
    """Open a hub's folder for the one process that serves it; it is made at first use.

    Raises: BusyError if another one serves it, UnsafeStateError, StateError.
    """
    with ExitStack() as stack, _worded(path):
        root = open_state(path, create=True)
        stack.callback(root.close)
        try:
            stack.enter_context(writing(root, _LOCK_WAIT_S))
        except BusyError as error:
            found = f"{error.found.removesuffix(' writing')}, which does"
            step = "stop that one, or give this one a folder of its own with --data"
            raise BusyError(path, "no other evidenced-hub that serves this folder", found, step) from None
        yield HubFolder(stack, root, create=True)


@contextlib.contextmanager
def visiting(path: str) -> Iterator[HubFolder]:
    """Open the folder of a hub beside the process that serves it. Raises: StateError if there is none."""
    with ExitStack() as stack, _worded(path):
        root = open_state(path, create=False)
        stack.callback(root.close)
        if root.facts(DATABASE) is None:
            raise StateError(path, "the folder of a hub", "another one", "see evidenced-hub serve --data")
        yield HubFolder(stack, root, create=False)


@contextlib.contextmanager
def _worded(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        missing = os.fsdecode(error.filename) if error.filename else path
        raise StateError(
            path, f"the folder of a hub with {missing}", "none", "see evidenced-hub serve --data"
        ) from None
