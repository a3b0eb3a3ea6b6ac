"""The end of a log: entries are appended to segments, then the size is signed.

An entry is committed when its frame and the checkpoint over it are on disk. What failed in between leaves no
doubt: a frame that was not synced is abandoned with its descriptor and the next one begins a new file; a frame
that was synced stays, and the next checkpoint covers it.
"""

from __future__ import annotations

import contextlib
import os

from evidence import segment, signed_size
from evidence.keys import PrivateKey
from evidence.note import Checkpoint
from evidence.segment import Frame
from evidence.state import Folder, write_all
from evidence.tree import Frontier, leaf_hash

SEGMENTS = "segments"


class LogWriter:
    """One log, open at its end."""

    def __init__(self, log: Folder, origin: str, key: PrivateKey, tree: Frontier) -> None:
        """Open a log whose tree is `tree`; the next frame begins a new segment unless `resume` is called."""
        self.origin = origin
        self._log = log
        self._segments = log.folder(SEGMENTS, create=True)
        self._key = key
        self._tree = tree
        self._descriptor = -1
        self._first = 0
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
        """Continue the segment that begins with entry `first` at byte `end`, up to which it was checked."""
        self._descriptor = self._segments.open(segment.name_of(first), os.O_WRONLY)
        self._first, self._end = first, end

    def close(self) -> None:
        """Close files and folders; nothing waits to be written."""
        self._abandon()
        self._segments.close()
        self._log.close()

    def append(self, body: bytes, payload: bytes) -> Frame:
        """Write one entry and sync it; it counts as committed only after `sign`.

        Raises: OSError, when the entry is not part of the log.
        """
        data = segment.frame(self.size, body)
        if self._descriptor >= 0 and self._end + len(data) <= segment.ROLL_BYTES:
            written = self._extend(data, body)
        else:
            written = self._begin(data, body)
        self._tree.append(leaf_hash(payload))
        self._end = written.offset + written.length
        return written

    @property
    def segment(self) -> int:
        """Return the first sequence of the segment that was written to last."""
        return self._first

    def sign(self) -> None:
        """Sign the size, durably. Raises: OSError; then the entries stay and the next call signs them."""
        try:
            signed_size.write(self._log, self.checkpoint, self._key)
        except OSError:
            self._reopen()
            raise

    def _extend(self, data: bytes, body: bytes) -> Frame:
        try:
            os.lseek(self._descriptor, self._end, os.SEEK_SET)
            write_all(self._descriptor, data)
        except OSError:
            self._take_back()
            raise
        try:
            os.fsync(self._descriptor)
        except OSError:
            # The kernel may have dropped the pages and will call the next fsync a success: new file, new pages.
            self._abandon()
            raise
        return Frame(self.size, self._end, len(data), body)

    def _take_back(self) -> None:
        """Cut what a failed write left; a file that cannot be cut is not written to again."""
        try:
            os.ftruncate(self._descriptor, self._end)
        except OSError:
            self._abandon()

    def _begin(self, data: bytes, body: bytes) -> Frame:
        """Begin a segment with one frame; it appears whole or not at all."""
        self._abandon()
        head = segment.header(self.origin, self.size)
        name = segment.name_of(self.size)
        try:
            self._segments.replace(name, head + data)
            descriptor = self._segments.open(name, os.O_WRONLY)
        except OSError:
            with contextlib.suppress(OSError):
                self._segments.remove(name)
            self._reopen()
            raise
        self._descriptor, self._first = descriptor, self.size
        return Frame(self.size, len(head), len(data), body)

    def _abandon(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _reopen(self) -> None:
        """Replace the descriptors of folders whose sync may have failed; if that fails too, they are kept."""
        with contextlib.suppress(OSError):
            log = self._log.reopened()
            self._log.close()
            self._log = log
        with contextlib.suppress(OSError):
            segments = self._log.folder(SEGMENTS)
            self._segments.close()
            self._segments = segments
