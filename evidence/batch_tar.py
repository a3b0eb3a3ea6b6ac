"""The container of a batch as it streams by: exactly the members that were announced, and nothing else.

Batches are made by our writer alone, so each header must be the very one it writes (`pack_tar.header`): no links, no
devices, no sparse or pax tricks, no owner, no name but the expected one. Nothing is extracted.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Protocol

from evidence.errors import FormatError, LimitError
from evidence.pack_spool import Member
from evidence.pack_tar import BLOCK, header

_CHUNK = 64 * 1024
_GZIP = 31
_MAGIC = b"\x1f\x8b"
_SIZE = slice(124, 135)
_OCTAL = frozenset(b"01234567")


class Source(Protocol):
    """Where the bytes come from: a file, a pipe."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end only."""


class _Stream:
    """The tar in the bytes of a file, plain or in one gzip member."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._kept = self._exactly(len(_MAGIC))
        self._engine = zlib.decompressobj(_GZIP) if self._kept == _MAGIC else None

    def _exactly(self, count: int) -> bytes:
        """Return so many bytes of the file, fewer only at its end."""
        parts = []
        while count and (part := self._source.read(count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def read(self, count: int) -> bytes:
        """Return so many bytes of the tar, fewer only at its end. Raises: FormatError."""
        if self._engine is None:
            kept, self._kept = self._kept[:count], self._kept[count:]
            return kept + self._exactly(count - len(kept))
        parts = []
        while count and not self._engine.eof:
            data = self._engine.unconsumed_tail or self._kept or self._source.read(_CHUNK)
            self._kept = b""
            try:
                part = self._engine.decompress(data, count)
            except zlib.error:
                raise FormatError("gzip", "intact data", "damage") from None
            if not data and not part and not self._engine.eof:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def finish(self) -> None:
        """Check that nothing follows. Raises: FormatError."""
        if self.read(1):
            raise FormatError("tar", "nothing behind its two zero blocks", "bytes")
        if self._engine is not None and (not self._engine.eof or self._engine.unused_data):
            raise FormatError("gzip", "one whole gzip member", "less, or more")
        if self._source.read(1):
            raise FormatError("batch", "nothing behind it", "bytes")


class TarReader:
    """Members in their order, each read in pieces; what is left of one is read and hashed before the next."""

    def __init__(self, source: Source, *, total_bytes: int) -> None:
        self._stream = _Stream(source)
        self._left_in_all = total_bytes
        self._name = ""
        self._left = 0
        self._size = 0
        self._hash = hashlib.sha256()

    def first(self, name: str, limit: int) -> bytes:
        """Return the first member, whose size is not known yet. Raises: FormatError, LimitError."""
        block = self._stream.read(BLOCK)
        digits = block[_SIZE]
        size = int(digits, 8) if len(block) == BLOCK and set(digits) <= _OCTAL else -1
        if size < 0 or block != header(name, min(size, limit)):
            if size > limit:
                raise LimitError(name, f"at most {limit} bytes", f"{size}")
            raise FormatError("batch", f"a tar that begins with {name}, as evidenced writes it", "something else")
        self._begin(name, size)
        data = self.read(size)
        self._end()
        return data

    def next(self, member: Member) -> None:
        """Go to the next member, which must be this one. Raises: FormatError, LimitError."""
        if self._stream.read(BLOCK) != header(member.name, member.size):
            expected = f"the header of {member.name}, a regular file of {member.size} bytes"
            raise FormatError("tar", expected, "another, or the end")
        self._begin(member.name, member.size)

    def read(self, count: int) -> bytes:
        """Return so many bytes of the member, fewer only at its end. Raises: FormatError when the file ends first."""
        data = self._stream.read(min(count, self._left))
        if len(data) < min(count, self._left):
            raise FormatError(self._name, f"{self._size} bytes", "fewer: the file was cut off")
        self._left -= len(data)
        self._hash.update(data)
        return data

    def end(self, member: Member) -> None:
        """Leave a member. Raises: FormatError unless it was read to its end and is what the manifest says."""
        if self._left:
            raise FormatError(self._name, "nothing behind its content", f"{self._left} bytes")
        if self._hash.hexdigest() != member.sha256:
            raise FormatError(self._name, "the SHA-256 that the manifest says", "another")
        self._end()

    def finish(self) -> None:
        """Check that the container ends here. Raises: FormatError."""
        if self._stream.read(2 * BLOCK) != bytes(2 * BLOCK):
            raise FormatError("tar", "two zero blocks behind the last member", "something else")
        self._stream.finish()

    def _begin(self, name: str, size: int) -> None:
        self._left_in_all -= size
        if self._left_in_all < 0:
            raise LimitError(name, "a batch within the limit of bytes in all", "more")
        self._name, self._left, self._size, self._hash = name, size, size, hashlib.sha256()

    def _end(self) -> None:
        padding = -self._size % BLOCK
        if self._stream.read(padding) != bytes(padding):
            raise FormatError(self._name, "zeros behind its content", "other bytes")
