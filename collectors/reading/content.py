"""Bytes out of a descriptor: regular files only, within a limit, and only if they held still meanwhile."""

from __future__ import annotations

import os

from collectors.reading.errors import ReadError, read_error, wrong_kind
from collectors.reading.facts import kind_of

CHUNK = 1 << 20
READING = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def reopened(place_fd: int, flags: int = READING) -> int:
    """Return a descriptor to read the very inode that an O_PATH descriptor stands for.

    O_NONBLOCK also keeps a lease (fcntl(2)) that a user took on his file from holding the reader up.
    """
    name = f"/proc/self/fd/{place_fd}"
    try:
        return os.open(name, flags | os.O_NOATIME)
    except PermissionError:  # O_NOATIME is for the owner and CAP_FOWNER
        return os.open(name, flags)


def only_kind(kind: str, path: str, status: os.stat_result) -> None:
    """Raise ReadError unless the status is that of a file, folder or link, whichever is expected."""
    found = kind_of(status)
    if found != kind:
        raise wrong_kind(path, kind, found)


def content_of(path: str, place_fd: int, limit: int) -> tuple[bytes, os.stat_result, bool]:
    """Return (bytes, status, truncated) of the regular file an O_PATH descriptor stands for.

    Raises: ReadError `not_regular` before anything is opened for content, `changed_while_read` if size, times
    or length differ between the first look and the last.
    """
    before = os.fstat(place_fd)
    only_kind("file", path, before)
    fd = reopened(place_fd)
    try:
        data, truncated = _drain(fd, limit, before.st_size)
        after = os.fstat(fd)
    except OSError as error:
        raise read_error(path, error) from None
    finally:
        os.close(fd)
    if not _made_up(path, before) and (
        state_of(before) != state_of(after) or (not truncated and len(data) != after.st_size)
    ):
        raise ReadError(path, "changed_while_read", "size or times differ before and after")
    return data, after, truncated


def state_of(status: os.stat_result) -> tuple[int, ...]:
    """Return what differs if a file was written or replaced between two looks."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _made_up(path: str, status: os.stat_result) -> bool:
    """Return whether the kernel writes this file as it is read, so that its size and times mean nothing."""
    return path.startswith(("/proc/", "/sys/")) and os.major(status.st_dev) == 0


def _drain(fd: int, limit: int, expected: int) -> tuple[bytes, bool]:
    """Return (bytes up to the limit, whether there was more)."""
    parts: list[bytes] = []
    total = 0
    step = min(max(expected, 1 << 14), CHUNK)
    while total <= limit:
        part = os.read(fd, min(step, limit - total) + 1)
        if not part:
            return b"".join(parts), False
        parts.append(part)
        total += len(part)
    return b"".join(parts)[:limit], True
