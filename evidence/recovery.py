"""Opening a log for writing: whatever happened to the last process, the log is whole again or known to be lost.

1. The checkpoint says how many entries were committed, and their root.
2. The index gives their leaves, if they lead to that root; else the segments are read from the start.
3. A committed entry that is not in its segment is mended (`evidence.scan`), or the tree is lost.
4. A whole frame behind the checkpoint stays: its checkpoint may have been seen by someone. It is written to a new
   file first, because a page that was read back after a failed sync may exist in memory alone.
5. What is no whole frame behind the checkpoint is a torn tail, and is cut.
6. A log that went further by its mark is not continued.
7. The size is signed, if it is not yet.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from typing import NoReturn

import msgspec

from evidence import entry, mark, scan, segment, signed_size
from evidence.errors import DamageError
from evidence.index import Row
from evidence.keys import PrivateKey
from evidence.note import Checkpoint
from evidence.order import id_of
from evidence.quarantine import Finding
from evidence.scan import Place, Segment
from evidence.state import Folder
from evidence.tree import Frontier
from evidence.writer import SEGMENTS, LogWriter


class TreeLostError(DamageError):
    """Leaves of committed entries are gone: the log cannot go on, a new epoch must be opened."""

    def __init__(self, where: str, checkpoint: Checkpoint | None, found: str) -> None:
        super().__init__(where, "the leaves that its checkpoint signs", found)
        self.checkpoint = checkpoint


class BehindError(TreeLostError):
    """The log went further than what is left of it: an older state was laid over this one, or its end is lost."""


class Recovered(msgspec.Struct, frozen=True):
    """A log that is open at its end, and the rows of all its entries, to which those that follow are added."""

    writer: LogWriter
    rows: list[Row]


def recover(log: Folder, place: Place, key: PrivateKey, rows: list[Row], *, resume: bool) -> Recovered:
    """Return a log ready to be appended to; `rows` are what the index holds of it, maybe none.

    `resume` goes on in the last segment; after a failed sync a new one is begun.
    Raises: BehindError; TreeLostError; OSError; NewerStateError. Damage is in quarantine when this returns.
    """
    checkpoint = read_checkpoint(log, place, key)
    tree = tree_of(rows, checkpoint)
    rows = _believed(rows, checkpoint, tree)
    try:
        reading = _read(place, checkpoint, rows, tree)
    except TreeLostError:
        if not rows:
            raise
        reading = _read(place, checkpoint, [], None)  # the index may be what is wrong
    writer = LogWriter(log, place.origin, key, reading.tree)
    marks = mark.sizes(log)
    if marks and marks[-1] > writer.size:
        _close_behind(writer, checkpoint, marks[-1])
    if resume and reading.end is not None:
        writer.resume(*reading.end)
    signed = checkpoint is not None and checkpoint.size == writer.size and marks == [writer.size]
    if not signed or not signed_size.sshsig_fits(log, writer.checkpoint, key.public):
        writer.sign()
    return Recovered(writer, reading.rows)


def _close_behind(writer: LogWriter, checkpoint: Checkpoint | None, reached: int) -> NoReturn:
    """Sign what is left of a log whose checkpoint is lost, for the last time; it is a part of what was signed."""
    try:
        if checkpoint is None:
            writer.sign()
        raise BehindError(writer.origin, checkpoint, f"{writer.size} of {reached} entries")
    finally:
        writer.close()


def _read(place: Place, checkpoint: Checkpoint | None, rows: list[Row], tree: Frontier | None) -> _Reading:
    reading = _Reading(place, checkpoint, rows, tree)
    try:
        reading.run()
    except TreeLostError:
        raise
    except DamageError as error:
        raise TreeLostError(error.where, checkpoint, error.found) from None
    return reading


def read_checkpoint(log: Folder, place: Place, key: PrivateKey) -> Checkpoint | None:
    """Return the checkpoint; None when it was damaged and is in quarantine now, or is missing."""
    where = f"{id_of(place.origin)}/{signed_size.NAME}"
    try:
        return signed_size.read(log, place.origin, key.public)
    except FileNotFoundError:
        place.quarantine.note(Finding(part="checkpoint", where=where, found="no file"))
    except DamageError as error:
        finding = Finding(part="checkpoint", where=where, found=error.found)
        place.quarantine.take(log, signed_size.NAME, finding)
    return None


def usable(rows: list[Row], checkpoint: Checkpoint | None) -> list[Row]:
    """Return the rows that may be believed: those whose leaves give the root that was signed.

    Rows that do not reach the checkpoint are believed until the whole tree is known.
    """
    return _believed(rows, checkpoint, tree_of(rows, checkpoint))


def _believed(rows: list[Row], checkpoint: Checkpoint | None, tree: Frontier | None) -> list[Row]:
    if checkpoint is None or len(rows) < checkpoint.size:
        return rows
    return rows[: checkpoint.size] if tree is not None else []


def tree_of(rows: list[Row], checkpoint: Checkpoint | None) -> Frontier | None:
    """Return the tree that was signed, from rows; None if they are too few or give another."""
    if checkpoint is None or len(rows) < checkpoint.size:
        return None
    tree = Frontier(each.leaf for each in rows[: checkpoint.size])
    return tree if tree.root() == checkpoint.root else None


class _Reading:
    """One way through the segments of a log."""

    def __init__(self, place: Place, checkpoint: Checkpoint | None, rows: list[Row], tree: Frontier | None) -> None:
        self._place = place
        self._checkpoint = checkpoint
        self._leaves = [each.leaf for each in rows]
        self._committed = checkpoint.size if checkpoint is not None else len(rows)
        self._known = rows
        self._signed = tree
        """The tree of the rows, if they lead to the checkpoint: to hash all leaves again would take longest."""
        self.tree = Frontier()
        self.rows: list[Row] = []
        self.end: tuple[int, int] | None = None

    def run(self) -> None:
        """Fill `rows` with every entry and `end` with the segment and offset to go on from, if any."""
        firsts = scan.firsts(self._place.segments)
        if firsts[:1] != [0]:
            firsts = [0, *firsts]
        for first, stop in itertools.pairwise(firsts):
            self._closed(first, stop)
        self._last(firsts[-1])
        self._check_root()

    def _closed(self, first: int, stop: int) -> None:
        """Take the rows of a segment that another one follows."""
        known = self._known[first:stop]
        if len(known) == stop - first and self._looks_whole(first, known):
            self.rows += known
            return
        found = scan.read(self._place.segments, self._place.origin, first)
        self._take(self._mended(found, stop), stop)

    def _looks_whole(self, first: int, known: list[Row]) -> bool:
        """Return whether the file is where and as long as the index says; its bytes are for the patrol."""
        facts = self._place.segments.facts(segment.name_of(first))
        same = all(each.segment == first for each in known)
        return facts is not None and same and facts.st_size >= known[-1].offset + known[-1].length

    def _last(self, first: int) -> None:
        """Take the rows of the segment that the log ends in, mend its end, and say where to go on."""
        committed = max(self._committed, first)
        found = self._mended(scan.read(self._place.segments, self._place.origin, first), committed)
        self._take(found, committed)
        stop = committed
        while stop in found.frames:
            stop += 1
        if stop > committed:
            self._copy_tail([found.frames[at] for at in range(committed, stop)], committed)
        if self.end is None and committed > first:
            self._cut(found, committed)

    def _mended(self, found: Segment, stop: int) -> Segment:
        scan.drop_foreign(found, self._leaves)
        return found if found.whole(stop) else scan.mend(found, stop, self._leaves, self._place)

    def _take(self, found: Segment, stop: int) -> None:
        for at in range(found.first, stop):
            frame = found.frames[at]
            known = self._known[at : at + 1]
            self.rows += known if known and _is_of(known[0], found.first, frame) else [entry.row_of(frame, found.first)]

    def _copy_tail(self, frames: list[segment.Frame], first: int) -> None:
        """Write frames that nobody acknowledged to a file of their own, as if they were appended now."""
        head = segment.header(self._place.origin, first)
        data = b"".join(segment.frame(each.sequence, each.body) for each in frames)
        self._place.segments.replace(segment.name_of(first), head + data)
        found = scan.read(self._place.segments, self._place.origin, first)
        self._take(found, first + len(frames))
        self.end = (first, len(head) + len(data))

    def _cut(self, found: Segment, committed: int) -> None:
        """Cut a torn tail; a file that cannot be cut is not continued."""
        end = found.end(committed)
        if end < len(found.data):
            if self._checkpoint is None:
                self._keep_tail(found, end)
            with contextlib.suppress(OSError):
                self._truncate(found.first, end)
                self.end = (found.first, end)
        else:
            self.end = (found.first, end)

    def _truncate(self, first: int, end: int) -> None:
        descriptor = self._place.segments.open(segment.name_of(first), os.O_WRONLY)
        try:
            os.ftruncate(descriptor, end)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _keep_tail(self, found: Segment, end: int) -> None:
        """Keep what is cut when no checkpoint says that it was never committed."""
        name = segment.name_of(found.first)
        where = f"{id_of(self._place.origin)}/{name}"
        finding = Finding(part="segment", where=where, found="bytes at the end that are no whole frame")
        self._place.quarantine.keep(found.data[end:], name, finding)

    def _check_root(self) -> None:
        """Compare the tree with the checkpoint, and set `tree` to that of all entries."""
        signed = self._checkpoint
        if signed is None and not self.rows:
            raise TreeLostError(self._place.origin, None, "no entry and no checkpoint")
        leaves = [each.leaf for each in self.rows]
        size = len(leaves) if signed is None else signed.size
        known = self._signed if leaves[:size] == self._leaves else None
        self.tree = Frontier(leaves[:size]) if known is None else known.copy()
        if signed is not None and (self.tree.size < size or self.tree.root() != signed.root):
            raise TreeLostError(self._place.origin, signed, "others")
        for leaf in leaves[size:]:
            self.tree.append(leaf)


def _is_of(row: Row, first: int, frame: segment.Frame) -> bool:
    """Return whether a row is that of a frame whose leaf was compared with it: it stands where the row says."""
    same_kind = (row.kind == entry.LOST) == (frame.lost_leaf is not None)
    return same_kind and (row.segment, row.offset, row.length) == (first, frame.offset, frame.length)


def open_segments(log: Folder) -> Folder:
    """Return the folder of a log's segments; a missing one is made again, empty."""
    return log.folder(SEGMENTS, create=True)
