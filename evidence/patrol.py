"""The patrol: a little of what was written long ago is read again at each opening, and all of it in turn.

Opening a log looks at its end only. Bits rot elsewhere too, so each time a few MiB more of segments and blobs are
compared with their hashes; how far it came is a hint in the index. `whole` walks over everything at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import msgspec

from evidence import entry, prune, restricted_json, scan
from evidence.blobs import Blobs
from evidence.errors import DamageError, EvidenceError
from evidence.history import all_rows
from evidence.index import Row
from evidence.index_file import IndexFile
from evidence.keys import PrivateKey
from evidence.layout import Layout
from evidence.order import origin_of
from evidence.quarantine import Finding
from evidence.recovery import open_segments
from evidence.scan import Place

BUDGET_BYTES = 8 * 1024 * 1024
_POSITION = "patrol"
_PREFIXES = tuple(f"{each:02x}" for each in range(256))


@dataclass(frozen=True)
class Patrol:
    """What a patrol needs to look at and to mend with; `key` signs the logs of one key only."""

    layout: Layout
    index: IndexFile
    blobs: Blobs
    key: PrivateKey

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
        """Look at everything, also for blobs that are named and not there. Raises: OSError."""
        for _, beat in self._beats():
            beat()
        self._missing()

    def _start(self, names: list[str]) -> int:
        last = self.index.note(_POSITION)
        return names.index(last) + 1 if last in names else 0

    def _beats(self) -> Iterator[tuple[str, Callable[[], int]]]:
        """Yield each part by name, with what looks at it and returns how many bytes that took."""
        for log_id in self.layout.logs.names():
            if not log_id.startswith("."):
                yield from self._segments(log_id)
        there = set(self.layout.blobs.names())
        for prefix in _PREFIXES:
            if prefix in there:
                yield prefix, partial(self._blobs, prefix)

    def _segments(self, log_id: str) -> Iterator[tuple[str, Callable[[], int]]]:
        log = self.layout.logs.folder(log_id)
        segments = open_segments(log)
        firsts = scan.firsts(segments)
        segments.close()
        log.close()
        for first, stop in itertools.pairwise(firsts):
            yield f"{log_id}/{first}", partial(self._segment, log_id, first, stop)

    def _segment(self, log_id: str, first: int, stop: int) -> int:
        """Compare one closed segment with the tree, and mend it."""
        rows = self.index.rows(log_id)
        log = self.layout.logs.folder(log_id)
        segments = open_segments(log)
        try:
            origin = origin_of(log_id)
            found = scan.read(segments, origin, first)
            leaves = [each.leaf for each in rows]
            scan.drop_foreign(found, leaves)
            if not found.whole(stop):
                own = self.key if log_id.startswith(self.key.public.id16) else None
                mended = scan.mend(found, stop, leaves, Place(segments, origin, own, self.layout.quarantine))
                fresh = [entry.row_of(mended.frames[at], first) for at in range(first, stop)]
                self.index.add(log_id, first, [*fresh, *rows[stop:]])
            return len(found.data)
        finally:
            segments.close()
            log.close()

    def _blobs(self, prefix: str) -> int:
        """Compare the blobs of one folder with their names; what is damaged goes to quarantine."""
        self.blobs.sweep(prefix)
        return sum(self._blob(each) for each in list(self.blobs.names(prefix)))

    def _blob(self, digest: str) -> int:
        try:
            return len(self.blobs.get(digest) or b"")
        except DamageError:
            finding = blob_finding(digest, "other bytes than its name says")
            self.layout.quarantine.take(self.blobs.folder_of(digest), digest, finding)
            return 0

    def _missing(self) -> None:
        """Report blobs that entries name, that nobody pruned, and that are not there."""
        rows = list(prune.chained(all_rows(self.layout, self.index)))
        named = {digest for row in rows for digests in row.names.values() for digest in digests}
        explained = self._pruned(rows) | self.layout.quarantine.reported("blob")
        for digest in sorted(named - explained - set(self.blobs.names())):
            self.layout.quarantine.note(blob_finding(digest, "no file"))

    def _pruned(self, rows: list[Row]) -> set[str]:
        gone: set[str] = set()
        for row in rows:
            if row.kind == prune.PRUNED:
                gone.update(self._details(row.names["event"][0]).digests)
        return gone

    def _details(self, digest: str) -> prune.Details:
        try:
            return msgspec.convert(restricted_json.decode(self.blobs.get(digest) or b""), prune.Details)
        except (EvidenceError, msgspec.ValidationError):
            return prune.Details(digests=())


def blob_finding(digest: str, found: str) -> Finding:
    """Return the report of a blob that is not what or where it should be."""
    return Finding(part="blob", where=f"blobs/{digest[:2]}/{digest}", found=found, count=1, names=(digest,))
