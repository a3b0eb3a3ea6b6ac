"""A tar stream that depends on names and bytes only: POSIX ustar, no owner, no time, one mode.

The headers are written here and not by `tarfile`, whose bytes have changed between Python versions.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable

from evidence.errors import LimitError

BLOCK = 512
MAX_NAME = 100
MAX_MEMBER = 64 * 1024 * 1024
MAX_TOTAL = 4 * 1024 * 1024 * 1024
MAX_MEMBERS = 100_000
_GZIP = 31
"""zlib's number for a gzip wrapper of 32 KiB window; its header has no name and no time."""
_LEVEL = 6


def header(name: str, size: int, max_member: int = MAX_MEMBER) -> bytes:
    """Return the header block of a regular file. Source: POSIX.1-2017, pax, ustar interchange format."""
    raw = name.encode("ascii")
    if not 1 <= len(raw) <= MAX_NAME or size > max_member:
        raise LimitError("pack", f"a name of {MAX_NAME} and a size of {max_member} bytes at most", "more")
    fields = (
        raw.ljust(100, b"\0"),
        b"0000644\0" + b"0000000\0" * 2,  # mode, uid, gid
        b"%011o\0" % size,
        b"00000000000\0",  # mtime
        b" " * 8,  # checksum, while it is computed
        b"0" + bytes(100),  # a regular file; no link name
        b"ustar\x0000" + bytes(64),  # magic and version; no owner or group
        b"0000000\0" * 2 + bytes(155 + 12),  # no device; no prefix
    )
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


class TarStream:
    """Writes members one after the other and hashes the tar as it goes, before compression."""

    def __init__(
        self,
        write: Callable[[bytes], object],
        *,
        compressed: bool,
        max_member: int = MAX_MEMBER,
        max_total: int | None = None,
    ) -> None:
        self._write = write
        self._max_member = max_member
        self._max_total = MAX_TOTAL if max_total is None else max_total
        self._gzip = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP) if compressed else None
        self._hash = hashlib.sha256()
        self._total = 0

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Write one member; `chunks` hold exactly `size` bytes.

        Raises: LimitError past the limit of all members, 4 GiB unless it was said otherwise.
        """
        self._put(header(name, size, self._max_member))
        left = size
        for chunk in chunks:
            left -= len(chunk)
            self._put(chunk)
        if left:
            raise LimitError("pack", f"{size} bytes of {name}", f"{size - left}")
        self._put(bytes(-size % BLOCK))
        self._total += size
        if self._total > self._max_total:
            raise LimitError("pack", f"at most {self._max_total} bytes in all", "more", "export a shorter period")

    def close(self) -> str:
        """Write the end and return the SHA-256 of the tar in hex."""
        self._put(bytes(2 * BLOCK))
        if self._gzip is not None:
            self._write(self._gzip.flush())
        return self._hash.hexdigest()

    def _put(self, data: bytes) -> None:
        self._hash.update(data)
        data = self._gzip.compress(data) if self._gzip is not None else data
        if data:
            self._write(data)
