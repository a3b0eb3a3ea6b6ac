"""The patrol: a little of what was written long ago is read again at each opening, and all of it in turn.

Opening a log looks at its end only. Bits rot elsewhere too, so each time a few MiB more of segments and blobs are
compared with their hashes; how far it came is a hint in the index. `whole` walks over everything at once.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import msgspec

from evidence import entry, keyring, prune, scan, signed_size
from evidence.blobs import Blobs
from evidence.errors import DamageError
from evidence.history import all_rows
from evidence.index import Row
from evidence.index_file import IndexFile
from evidence.keys import PrivateKey, PublicKey
from evidence.layout import Layout
from evidence.order import is_log_id, origin_of
from evidence.quarantine import Finding
from evidence.recovery import open_segments
from evidence.scan import Place
from evidence.state import Folder

MAX_NAMES = 1000
"""As many blobs as one report names."""
BUDGET_BYTES = 4 * 1024 * 1024
"""What one opening looks at: a few milliseconds, since a service opens its log a hundred times a day."""
_POSITION = "patrol"
_MISSING = "missing"
_SIGNATURES_BYTES = 1024
_NAME_BYTES = 64
_FILE_BYTES = 32 * 1024
"""What opening a file takes, in bytes that could be hashed meanwhile: blobs are many and small."""
_PREFIXES = tuple(f"{each:02x}" for each in range(256))


class Patrol(msgspec.Struct, frozen=True):
    """What a patrol needs to look at and to mend with: `key` signs the logs of one key only, `current` goes on."""

    layout: Layout
    index: IndexFile
    blobs: Blobs
    key: PrivateKey
    current: str
    known: dict[str, list[Row]] = {}
    """Rows by log, read once for all its segments, and kept right where one is mended."""

    def some(self, budget: int = BUDGET_BYTES) -> None:
        """Look at the next few MiB. Raises: OSError."""
        beats = dict(self._beats())
        names = list(beats)
        start = self._start(names)
        for name in names[start:] + names[:start]:
            budget -= beats[name]()
            self.index.remember(_POSITION, name)
            if budget <= 0:
                return

    def whole(self) -> None:
        """Look at everything. Raises: OSError."""
        for _, beat in self._beats():
            beat()

    def _start(self, names: list[str]) -> int:
        last = self.index.note(_POSITION)
        return names.index(last) + 1 if last in names else 0

    def _beats(self) -> Iterator[tuple[str, Callable[[], int]]]:
        """Yield each part by name, with what looks at it and returns how many bytes that took."""
        for log_id in self.layout.logs.names():
            if is_log_id(log_id):
                yield f"{log_id}/checkpoint", partial(self._checkpoint, log_id)
                yield from self._segments(log_id)
        there = set(self.layout.blobs.names())
        for prefix in _PREFIXES:
            if prefix in there:
                yield prefix, partial(self._blobs, prefix)
        yield _MISSING, self._missing

    def _segments(self, log_id: str) -> Iterator[tuple[str, Callable[[], int]]]:
        with self._opened(log_id) as (_, segments):
            firsts = scan.firsts(segments)
        for first, stop in itertools.pairwise(self._with_end(log_id, firsts)):
            yield f"{log_id}/{first}", partial(self._segment, log_id, first, stop)

    def _segment(self, log_id: str, first: int, stop: int) -> int:
        """Compare one closed segment with the tree, and mend it."""
        rows = self._rows(log_id)
        leaves = [each.leaf for each in rows]
        origin = origin_of(log_id)
        with self._opened(log_id) as (_, segments):
            found = scan.read(segments, origin, first)
            scan.drop_foreign(found, leaves)
            if not found.whole(stop):
                own = self.key if log_id.startswith(self.key.public.id16) else None
                mended = scan.mend(found, stop, leaves, Place(segments, origin, own, self.layout.quarantine))
                rows[first:stop] = [entry.row_of(mended.frames[at], first) for at in range(first, stop)]
                self.index.add(log_id, first, rows[first:])
        return _FILE_BYTES + len(found.data)

    def _rows(self, log_id: str) -> list[Row]:
        if log_id not in self.known:
            rows = self.index.rows(log_id)
            self.known[log_id] = rows or dict(all_rows(self.layout, self.index)).get(log_id, [])
        return self.known[log_id]

    def _with_end(self, log_id: str, firsts: list[int]) -> list[int]:
        """Return where segments begin and, for a log that is closed, where the last one ends.

        The last segment of the log that goes on was read when it was opened.
        """
        firsts = firsts if firsts[:1] == [0] else [0, *firsts]
        return firsts if log_id == self.current else [*firsts, len(self._rows(log_id))]

    def _checkpoint(self, log_id: str) -> int:
        """Compare the signatures of a closed log with its key, and put the copies in place of damaged ones."""
        with self._opened(log_id) as (log, _):
            id16, _, _ = log_id.partition("-")
            try:
                key = keyring.public(self.layout.keys, log, id16)
            except DamageError:
                return 0  # nothing here can be checked any more, and the reader says so
            keyring.mend_retired(self.layout.keys, self.layout.quarantine, key)
            if log_id != self.current:
                self._mend_signature(log, log_id, signed_size.NAME, key)
                self._mend_signature(log, log_id, signed_size.SSHSIG, key)
        return _SIGNATURES_BYTES

    def _mend_signature(self, log: Folder, log_id: str, name: str, key: PublicKey) -> None:
        if signed_size.holds(log, name, origin_of(log_id), key):
            return
        finding = Finding(part="checkpoint", where=f"{log_id}/{name}", found="a signature that does not verify")
        if log.facts(name) is None:
            self.layout.quarantine.note(msgspec.structs.replace(finding, found="no file"))
        else:
            self.layout.quarantine.take(log, name, finding)
        signed_size.restore(log, name)

    @contextlib.contextmanager
    def _opened(self, log_id: str) -> Iterator[tuple[Folder, Folder]]:
        """Open a log and its segments."""
        with contextlib.ExitStack() as stack:
            log = self.layout.logs.folder(log_id)
            stack.callback(log.close)
            segments = open_segments(log)
            stack.callback(segments.close)
            yield log, segments

    def _blobs(self, prefix: str) -> int:
        """Compare the blobs of one folder with their names; what is damaged goes to quarantine."""
        self.blobs.sweep(prefix)
        return sum(self._blob(each) for each in list(self.blobs.names(prefix)))

    def _blob(self, digest: str) -> int:
        try:
            return _FILE_BYTES + len(self.blobs.get(digest) or b"")
        except DamageError:
            finding = blobs_finding([digest], "other bytes than its name says")
            self.layout.quarantine.take(self.blobs.folder_of(digest), digest, finding)
            return _FILE_BYTES

    def _missing(self) -> int:
        """Report, once, blobs that entries name, that nobody pruned, and that are not there."""
        rows = list(prune.chained(all_rows(self.layout, self.index)))
        named = {each.hex() for each in set().union(*(row.digests() for row in rows))}
        explained = self._pruned(rows) | self.layout.quarantine.reported("blob")
        gone = sorted(named - explained - set(self.blobs.names()))
        for at in range(0, len(gone), MAX_NAMES):
            self.layout.quarantine.note(blobs_finding(gone[at : at + MAX_NAMES], "no file"))
        return _NAME_BYTES * len(named)

    def _pruned(self, rows: list[Row]) -> set[str]:
        return {digest for row in rows for digest in prune.pruned_by(row, self.blobs)}


def blobs_finding(digests: Sequence[str], found: str) -> Finding:
    """Return the report of blobs that are not what or where they should be, at most `MAX_NAMES`."""
    where = f"blobs/{digests[0][:2]}/{digests[0]}" if len(digests) == 1 else "blobs"
    return Finding(part="blob", where=where, found=found, count=len(digests), names=tuple(digests))
