"""The SHA-256 of a file's content, read as a stream from one descriptor and through no link."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from collectors.reading.content import CHUNK, only_kind, reopened, state_of
from collectors.reading.errors import ReadError
from collectors.reading.facts import Facts

if TYPE_CHECKING:
    from collectors.reading.host import Host

LIMIT = 4 << 30


def sha256_of(host: Host, path: str, seen: Facts, *, mount: str = "/", limit: int = LIMIT) -> str:
    """Return the hex digest of the file that was seen at a path, in the file system mounted at `mount`.

    Raises: ReadError `changed_while_read` if another file stands there now, or it is written meanwhile;
    `truncated` if it is longer than `limit` bytes, since half a digest is none.
    """
    with host.tree.place(path, follow=False, untrusted="/" if host.recording else mount) as place:
        if host.recording:
            host.recording.readable(path, path)
            if (told := host.recording.digest(path)) is not None:
                host.opened.append(path)
                return told
        before = os.fstat(place)
        only_kind("file", path, before)
        if host.recording and before.st_size != seen.size_bytes:
            raise ReadError(path, "absent", "its content was not recorded")
        if not host.recording and (before.st_dev, before.st_ino) != (seen.device, seen.inode):
            raise ReadError(path, "changed_while_read", "expected the file that the sweep saw, found another")
        fd = reopened(place)
        try:
            digest, size = _digest(path, fd, limit)
            after = os.fstat(fd)
        finally:
            os.close(fd)
    host.cost.files += 1
    host.cost.bytes += size
    host.opened.append(path)
    if state_of(before) != state_of(after) or size != after.st_size:
        raise ReadError(path, "changed_while_read", "size or times differ before and after")
    return digest


def _digest(path: str, fd: int, limit: int) -> tuple[str, int]:
    state, size, buffer = hashlib.sha256(), 0, memoryview(bytearray(CHUNK))
    while got := os.readv(fd, [buffer]):
        size += got
        if size > limit:
            raise ReadError(path, "truncated", f"expected at most {limit} bytes, found more")
        state.update(buffer[:got])
    return state.hexdigest(), size
