"""What a collecting child says to its parent: length-prefixed frames over a pipe, each with its limit.

The child parses what attackers write, so the parent takes nothing it says on trust: an unknown kind, a
frame over its limit or a message cut short ends the child, and its tables are `failed`.

A frame is one kind byte, a big-endian u32 length, and the payload:

=====  =======================================================================
kind   payload
=====  =======================================================================
``T``  name of the table whose frames follow
``R``  rows, one canonical JSON line each, joined by newlines
``G``  gaps, the same way
``F``  why the table failed: ``{"coverage": "failed" | "unsupported", "text": ...}``
``E``  end of the table, with its cost
=====  =======================================================================
"""

from __future__ import annotations

import os
from collections.abc import Iterator

FRAME_LIMIT = 1 << 20
KINDS = frozenset(b"TRGFE")


class FrameError(Exception):
    """Bytes from a child that are not frames."""


def encode(kind: bytes, payload: bytes) -> bytes:
    """Return one frame; the caller keeps the payload within FRAME_LIMIT."""
    return kind + len(payload).to_bytes(4, "big") + payload


class FrameParser:
    """Takes bytes as they come from a pipe or a socket and gives whole frames."""

    def __init__(self, kinds: frozenset[int] = KINDS) -> None:
        self._kinds = kinds
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (kind, payload) for each frame that is now whole; FrameError if it cannot be one."""
        self._held += data
        start = 0
        while len(self._held) - start >= 5:  # noqa: PLR2004  kind and length
            kind = self._held[start]
            size = int.from_bytes(self._held[start + 1 : start + 5], "big")
            if kind not in self._kinds or size > FRAME_LIMIT:
                raise FrameError(f"expected a frame of at most {FRAME_LIMIT} bytes, found kind {kind} of {size}")
            if len(self._held) - start - 5 < size:
                break
            yield bytes((kind,)), bytes(self._held[start + 5 : start + 5 + size])
            start += 5 + size
        del self._held[:start]

    def finish(self) -> None:
        """Raise FrameError if the stream ended inside a frame."""
        if self._held:
            raise FrameError(f"expected the end of a frame, found {len(self._held)} bytes of an unfinished one")


class FrameWriter:
    """The child's end: collects lines of one kind and sends them in frames of a useful size."""

    BATCH = 64 << 10

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._kind = b""
        self._lines: list[bytes] = []
        self._size = 0

    def line(self, kind: bytes, line: bytes) -> None:
        """Send one line of kind `R` or `G`, sooner or later but in order."""
        if kind != self._kind or self._size + len(line) > self.BATCH:
            self.flush()
            self._kind = kind
        self._lines.append(line)
        self._size += len(line) + 1

    def send(self, kind: bytes, payload: bytes) -> None:
        """Send what is held, then one frame."""
        self.flush()
        self._write(encode(kind, payload))

    def flush(self) -> None:
        """Send what is held."""
        if self._lines:
            self._write(encode(self._kind, b"\n".join(self._lines)))
        self._lines, self._size = [], 0

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
