"""The folders of a state, opened once: docs/formats.md, section 7."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import msgspec

from evidence.quarantine import Quarantine
from evidence.state import Folder

BLOBS = "blobs"
KEYS = "keys"
LOGS = "logs"
RECEIPTS = "receipts"


class Layout(msgspec.Struct, frozen=True):
    """The folders a writer works in."""

    root: Folder
    keys: Folder
    logs: Folder
    blobs: Folder
    quarantine: Quarantine


@contextmanager
def opened(root: Folder) -> Iterator[Layout]:
    """Open the folders of a state, making those that are missing. Raises: OSError, UnsafeStateError."""
    with ExitStack() as stack:

        def folder(name: str) -> Folder:
            root.make(name)
            found = root.folder(name)
            stack.callback(found.close)
            return found

        layout = Layout(root, folder(KEYS), folder(LOGS), folder(BLOBS), Quarantine(folder("quarantine")))
        root.sync()  # also for a process that was killed between the two
        yield layout
