"""The end of a log: entries are appended to segments, then the size is signed.

An entry is committed when its frame and the checkpoint over it are on disk. After an error the writer is of no
further use: nothing is trusted on a descriptor whose sync failed. `evidence.recovery` finds out what is on disk and
gives a new one.
"""

from __future__ import annotations

import os

from evidence import segment, signed_size
from evidence.keys import PrivateKey
from evidence.note import Checkpoint
from evidence.segment import Frame
from evidence.state import Folder, write_all
from evidence.tree import Frontier, leaf_hash

SEGMENTS = "segments"


class LogWriter:
    """One log, open at its end. It owns the folder it is given."""

    def __init__(self, log: Folder, origin: str, key: PrivateKey, tree: Frontier) -> None:
        self.origin = origin
        self.segment = 0
        """The first sequence of the segment that was written to last."""
        self._log = log
        self._segments = log.folder(SEGMENTS, create=True)
        self._key = key
        self._tree = tree
        self._descriptor = -1
        self._end = 0

    @property
    def size(self) -> int:
        """Return how many entries the log holds; the next one has this sequence."""
        return self._tree.size

    @property
    def checkpoint(self) -> Checkpoint:
        """Return what a checkpoint says now."""
        return Checkpoint(self.origin, self._tree.size, self._tree.root())

    def resume(self, first: int, end: int) -> None:
        """Continue the segment that begins with entry `first` at byte `end`, where it ends."""
        self._descriptor = self._segments.open(segment.name_of(first), os.O_WRONLY | os.O_APPEND)
        self.segment, self._end = first, end

    def close(self) -> None:
        """Close files and folders; nothing waits to be written."""
        self._leave()
        self._segments.close()
        self._log.close()

    def append(self, body: bytes, payload: bytes) -> Frame:
        """Write one entry and sync it; it counts as committed only after `sign`. Raises: OSError."""
        data = segment.frame(self.size, body)
        if self._descriptor >= 0 and self._end + len(data) <= segment.ROLL_BYTES:
            write_all(self._descriptor, data)
            os.fsync(self._descriptor)
            written = Frame(self.size, self._end, len(data), body)
        else:
            written = self._begin(data, body)
        self._tree.append(leaf_hash(payload))
        self._end = written.offset + written.length
        return written

    def sign(self) -> None:
        """Sign the size, durably. Raises: OSError."""
        signed_size.write(self._log, self.checkpoint, self._key)

    def _begin(self, data: bytes, body: bytes) -> Frame:
        """Begin a segment with one frame; it appears whole or not at all."""
        self._leave()
        head = segment.header(self.origin, self.size)
        self._segments.replace(segment.name_of(self.size), head + data)
        self.resume(self.size, len(head) + len(data))
        return Frame(self.size, len(head), len(data), body)

    def _leave(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
