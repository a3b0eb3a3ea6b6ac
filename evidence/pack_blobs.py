"""The blobs of a pack: records sorted by digest, in members of at most 32 MiB (docs/formats.md, section 6).

The zlib data is copied as the store keeps it, so that equal stores give equal packs whatever zlib is at hand. Each
blob is inflated and hashed on the way; a damaged one is left out and reported.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from evidence.blobs import MAX_BYTES, digest, inflated
from evidence.errors import DamageError, LimitError
from evidence.pack_source import PackSource
from evidence.pack_spool import Spool

MAX_MEMBER = 32 * 1024 * 1024


class BlobReport(msgspec.Struct):
    """What became of the blobs that the entries name."""

    written: int = 0
    missing: list[str] = []
    damaged: list[str] = []


class _Members:
    """Records go in, members come out."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._count = 0
        self._size = 0

    def add(self, record: bytes) -> None:
        if len(record) > MAX_MEMBER:
            raise LimitError("pack", f"blobs that compress to {MAX_MEMBER} bytes", "a larger one")
        if not self._count or self._size + len(record) > MAX_MEMBER:
            self.end()
            self._spool.begin(f"blobs/{self._count:02d}")
            self._count, self._size = self._count + 1, 0
        self._spool.write(record)
        self._size += len(record)

    def end(self) -> None:
        if self._count:
            self._spool.end()


def write_blobs(spool: Spool, source: PackSource, digests: Iterable[str]) -> BlobReport:
    """Write the blobs of these digests and return what was missing or damaged."""
    report = BlobReport()
    members = _Members(spool)
    for name in sorted(digests):
        try:
            record = _record(source, name)
        except DamageError:
            report.damaged.append(name)
            continue
        if record is None:
            report.missing.append(name)
        else:
            members.add(record)
            report.written += 1
    members.end()
    return report


def _record(source: PackSource, name: str) -> bytes | None:
    """Return the record of one blob, None if the store does not have it. Raises: DamageError."""
    stored = source.stored_blob(name)
    if stored is None:
        return None
    data = inflated(stored, MAX_BYTES)
    if data is None or digest(data) != name:
        raise DamageError(f"blob {name}", "the bytes its name is the hash of", "others")
    return b"%s %d %d\n%s\n" % (name.encode(), len(data), len(stored), stored)
