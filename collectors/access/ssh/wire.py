"""The SSH wire encoding (RFC 4251, section 5), as far as public keys use it."""

from __future__ import annotations

import struct

from collectors.contract import MalformedError

# OpenSSH refuses larger numbers too (SSHBUF_MAX_BIGNUM).
MAX_NUMBER_BYTES = 2048


class Fields:
    """Takes one field after another from a blob whose lengths may lie."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._at = 0

    def text(self) -> bytes:
        """Return the next `string`: four bytes of length, then that many bytes."""
        (size,) = struct.unpack(">I", self._take(4))
        return self._take(size)

    def number(self) -> bytes:
        """Return the next `mpint` as big-endian bytes without leading zeros; negative ones are refused."""
        raw = self.text()
        if raw[:1] >= b"\x80":
            raise MalformedError("a positive number", "a negative one")
        magnitude = raw.lstrip(b"\x00")
        if len(magnitude) > MAX_NUMBER_BYTES:
            raise MalformedError(f"a number of at most {MAX_NUMBER_BYTES} bytes", f"{len(magnitude)}")
        return magnitude

    def skip(self, size: int) -> None:
        """Pass over an integer of fixed size."""
        self._take(size)

    def since(self, start: int) -> bytes:
        """Return the bytes from an earlier position up to here."""
        return self._blob[start : self._at]

    @property
    def position(self) -> int:
        """Return how many bytes were taken."""
        return self._at

    def end(self) -> None:
        """Raise MalformedError if anything is left."""
        if self._at != len(self._blob):
            raise MalformedError("the end of the key", f"{len(self._blob) - self._at} more bytes")

    def _take(self, size: int) -> bytes:
        if size > len(self._blob) - self._at:
            raise MalformedError(f"{size} more bytes in the key", f"{len(self._blob) - self._at}")
        self._at += size
        return self._blob[self._at - size : self._at]


def text(value: bytes) -> bytes:
    """Return a `string` field that holds the value."""
    return struct.pack(">I", len(value)) + value


def bit_length(magnitude: bytes) -> int:
    """Return the number of bits of a number as `Fields.number` gives it."""
    return int.from_bytes(magnitude, "big").bit_length()
