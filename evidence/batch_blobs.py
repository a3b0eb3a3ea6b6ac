"""The blobs of a batch as they are checked: each is inflated and hashed before anyone sees it, piece by piece."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Collection, Iterator

import msgspec

from evidence.blobs import MAX_BYTES
from evidence.errors import FormatError, LimitError
from evidence.pack_blobs import MAX_MEMBER
from evidence.pack_spool import Member

_CHUNK = 1024 * 1024
_RECORD = re.compile(rb"([0-9a-f]{64}) (0|[1-9][0-9]{0,7}) ([1-9][0-9]{0,7})\Z")
_MARGIN = 8
"""Zlib data may be longer than what it holds by an eighth of it: no encoder needs more than 9 bits a byte."""
_WRAPPING = 64
_MAX_RECORD = 64 + 1 + 8 + 1 + 8 + 1


class BatchBlob(msgspec.Struct, frozen=True):
    """A blob whose bytes are what its name says."""

    digest: str
    length: int
    stored: bytes
    """Its zlib data, as the host kept it."""

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes in pieces of at most 1 MiB."""
        yield from inflating(self.stored)


class BlobReader:
    """Reads members of blobs; digests rise over all of them."""

    def __init__(self, named: Collection[bytes], limit_bytes: int) -> None:
        self._named = named
        self._left = limit_bytes
        self._last = ""
        self.count = 0

    def read(self, member: Member, read: Callable[[int], bytes]) -> Iterator[BatchBlob]:
        """Yield the blobs of a member, whose bytes `read` gives. Raises: FormatError, LimitError."""
        if not 0 < member.size <= MAX_MEMBER:
            raise LimitError(member.name, f"1 to {MAX_MEMBER} bytes", f"{member.size}")
        left, kept = member.size, b""
        while left:
            kept += read(_MAX_RECORD - len(kept))
            head, newline, kept = kept.partition(b"\n")
            match = _RECORD.match(head)
            if match is None or not newline:
                raise FormatError(member.name, "a line of digest, length and compressed length", "another")
            size = int(match[3])
            left -= len(head) + 1 + size + 1
            if left < 0:
                raise FormatError(member.name, "a record within its member", "one that goes beyond it")
            data = kept[: size + 1] + read(max(0, size + 1 - len(kept)))
            kept = kept[size + 1 :]
            yield self._blob(match[1].decode(), int(match[2]), data, member.name)

    def _blob(self, digest: str, length: int, data: bytes, where: str) -> BatchBlob:
        stored = data[:-1]
        if data[-1:] != b"\n":
            raise FormatError(where, "a newline behind each record", "another byte")
        if digest <= self._last:
            raise FormatError(where, "digests that rise, each once", digest)
        if bytes.fromhex(digest) not in self._named:
            raise FormatError(f"blob {digest}", "an entry that names it", "none in this batch")
        self._left -= length
        if length > MAX_BYTES or self._left < 0:
            raise LimitError(f"blob {digest}", f"at most {MAX_BYTES} bytes, and fewer than the limit in all", "more")
        if len(stored) > longest(length):  # a hub keeps what comes first for all hosts and packs
            raise LimitError(f"blob {digest}", f"at most {longest(length)} bytes of zlib data", f"{len(stored)}")
        _check(stored, length, digest)
        self._last = digest
        self.count += 1
        return BatchBlob(digest, length, stored)


def longest(length: int) -> int:
    """Return how many bytes of zlib data are taken for so many bytes; no zlib writes as many (compressBound)."""
    return length + length // _MARGIN + _WRAPPING


def _check(stored: bytes, length: int, digest: str) -> None:
    whole, total = hashlib.sha256(), 0
    try:
        for chunk in inflating(stored):
            total += len(chunk)
            if total > length:
                break
            whole.update(chunk)
    except zlib.error:
        raise FormatError(f"blob {digest}", "intact zlib data and nothing behind it", "damage") from None
    if (total, whole.hexdigest()) != (length, digest):
        raise FormatError(f"blob {digest}", f"{length} bytes of this SHA-256", "others")


def inflating(stored: bytes) -> Iterator[bytes]:
    """Yield what zlib data holds in pieces of at most 1 MiB. Raises: zlib.error when it does not end with its data."""
    engine = zlib.decompressobj()
    data = stored
    while not engine.eof:
        piece = engine.decompress(data, _CHUNK)
        data = engine.unconsumed_tail
        if not piece and not data and not engine.eof:
            raise zlib.error("the data ends early")
        if piece:
            yield piece
    if engine.unused_data:
        raise zlib.error("bytes behind the data")
