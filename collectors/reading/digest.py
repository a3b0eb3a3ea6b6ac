"""The SHA-256 of a file's content, read as a stream from one descriptor and through no link."""

from __future__ import annotations

import hashlib
import os
import resource
import time
from typing import TYPE_CHECKING

import msgspec

from collectors.reading.content import CHUNK, only_kind, reopened, state_of
from collectors.reading.errors import ReadError
from collectors.reading.facts import Facts

if TYPE_CHECKING:
    from collectors.reading.host import Host

LIMIT = 4 << 30


class Spending(msgspec.Struct, frozen=True):
    """What all digests of one table may cost: a file without content is made in no time, and takes as long to read."""

    bytes: int = 16 << 30
    cpu_s: float = 300
    wall_s: float = 600


def sha256_of(host: Host, path: str, seen: Facts, *, mount: str = "/", limit: int = LIMIT) -> str:
    """Return the hex digest of one file, as `Digester.sha256` does."""
    return Digester(host).sha256(path, seen, mount=mount, limit=limit)


class Digester:
    """Reads files for their digests: each inode once, whatever names it has, and no more than may be spent."""

    def __init__(self, host: Host, spending: Spending | None = None) -> None:
        spending = spending or Spending()
        self._host = host
        self.left = spending.bytes
        """Bytes that may still be read."""
        self._cpu_until = time.process_time() + min(spending.cpu_s, _cpu_left() / 4)
        self._wall_until = time.monotonic() + spending.wall_s
        self._known: dict[tuple[int, ...], str] = {}
        self._buffer = memoryview(bytearray(CHUNK))

    def sha256(self, path: str, seen: Facts, *, mount: str = "/", limit: int = LIMIT) -> str:
        """Return the hex digest of the file that was seen at a path, in the file system mounted at `mount`.

        Raises: ReadError `changed_while_read` if another file stands there now, or it is written meanwhile;
        `truncated` if it is longer than `limit` bytes, or than may still be spent, since half a digest is none.
        """
        host = self._host
        with host.tree.place(path, follow=False, untrusted="/" if host.recording else mount) as place:
            if host.recording:
                host.recording.readable(path, path)
                if (told := host.recording.digest(path)) is not None:
                    host.note(path, 0)
                    return told
            before = os.fstat(place)
            only_kind("file", path, before)
            if host.recording and before.st_size != seen.size_bytes:
                raise ReadError(path, "absent", "its content was not recorded")
            if not host.recording and (before.st_dev, before.st_ino) != (seen.device, seen.inode):
                raise ReadError(path, "changed_while_read", "expected the file that the sweep saw, found another")
            if (known := self._known.get(state_of(before))) is not None:
                return known
            self._afford(path, before.st_size, limit)
            return self._read(path, place, before)

    def _afford(self, path: str, size: int, limit: int) -> None:
        if size > limit:
            raise ReadError(path, "truncated", f"expected at most {limit} bytes, found more")
        if size > self.left:
            raise ReadError(path, "truncated", "more bytes than are left to be read for digests")
        self._in_time(path)

    def _in_time(self, path: str) -> None:
        if time.process_time() > self._cpu_until or time.monotonic() > self._wall_until:
            raise ReadError(path, "truncated", "the time for digests is used up")

    def _read(self, path: str, place: int, before: os.stat_result) -> str:
        fd, left = reopened(place), self.left
        try:
            digest, size = self._digest(path, fd, before.st_size)
            after = os.fstat(fd)
        finally:
            os.close(fd)
            self._host.note(path, left - self.left)
        if state_of(before) != state_of(after) or size != after.st_size:
            raise ReadError(path, "changed_while_read", "size or times differ before and after")
        self._known[state_of(before)] = digest
        return digest

    def _digest(self, path: str, fd: int, expected: int) -> tuple[str, int]:
        """Return (digest, length); what grows while it is read is not followed."""
        state, size = hashlib.sha256(), 0
        while got := os.readv(fd, [self._buffer]):
            size += got
            self.left -= got
            if size > expected:
                raise ReadError(path, "changed_while_read", "it grew while it was read")
            self._in_time(path)
            state.update(self._buffer[:got])
        return state.hexdigest(), size


def _cpu_left() -> float:
    """Return the seconds after which the kernel ends this process (RLIMIT_CPU)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_CPU)
    return float("inf") if soft == resource.RLIM_INFINITY else max(0.0, soft - time.process_time())
