"""How far a log went, as the name of a file that no copy can pass for: `logs/LOGID/mark.NNNNNNNNNNNN`.

One file a log, renamed with each signed size. A backup that is laid over the state brings its old name back
beside the newer one, and one that replaces the state makes the file anew; the line in it says which file system
object it was when the log was opened. Either way the log is not continued: it would be signed a second time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import struct

import msgspec

from evidence.errors import DamageError
from evidence.state import Folder, read_all, staged, write_all

_NAME = re.compile(r"mark\.([0-9]{12})\Z")
_LINE = re.compile(rb"([0-9]{1,20}) ([0-9]{1,20}) ([0-9a-f]{64})\n\Z")
_LIMIT = 256
_NEW = "mark"
# ioctl_iflags(2), FS_IOC_GETVERSION as most architectures encode it: _IOR('v', 1, long).
_GENERATION = 2 << 30 | struct.calcsize("l") << 16 | ord("v") << 8 | 1


class Object(msgspec.Struct, frozen=True):
    """A file system object: an inode is given out again, with another generation; 0 is one that is not known."""

    inode: int
    generation: int

    def is_same(self, other: Object) -> bool:
        """Return whether both can be one object."""
        known = 0 not in (self.generation, other.generation)
        return self.inode == other.inode and (not known or self.generation == other.generation)


def sizes(log: Folder) -> list[int]:
    """Return the sizes that marks name, in order: none in the state of an older version, else one."""
    return sorted(int(match[1]) for match in map(_NAME.match, log.names()) if match)


def name_of(size: int) -> str:
    """Return the name of the mark of a log of this size."""
    return f"mark.{size:012d}"


def is_original(log: Folder, size: int) -> bool:
    """Return whether a mark is the file that was made when the log was opened. Raises: OSError; DamageError."""
    descriptor = log.open(name_of(size), os.O_RDONLY)
    try:
        match = _LINE.match(read_all(descriptor, _LIMIT))
        here = _object(descriptor)
    finally:
        os.close(descriptor)
    if match is None or _line(Object(int(match[1]), int(match[2]))) != match[0]:
        raise DamageError(log.where(name_of(size)), "a line and its hash", "bytes that do not fit each other")
    return here.is_same(Object(int(match[1]), int(match[2])))


def move(log: Folder, size: int) -> None:
    """Say that the log went so far, if it never went further; durable after the next `sync` of its folder.

    Raises: OSError.
    """
    there = sizes(log)
    if not there:
        _make(log, name_of(size))
    elif there[-1] < size:
        os.rename(name_of(there[-1]), name_of(size), src_dir_fd=log.descriptor, dst_dir_fd=log.descriptor)


def _make(log: Folder, name: str) -> None:
    """Make a mark; its name appears when its line is on disk."""
    log.stage(_NEW, b"")
    descriptor = log.open(staged(_NEW), os.O_WRONLY)
    try:
        write_all(descriptor, _line(_object(descriptor)))
    finally:
        os.close(descriptor)
    log.sync_staged(_NEW)
    os.rename(staged(_NEW), name, src_dir_fd=log.descriptor, dst_dir_fd=log.descriptor)


def _object(descriptor: int) -> Object:
    value = bytearray(8)
    with contextlib.suppress(OSError):  # not every file system counts them
        fcntl.ioctl(descriptor, _GENERATION, value)
    (generation,) = struct.unpack_from("=I", value)
    return Object(os.fstat(descriptor).st_ino, generation)


def _line(found: Object) -> bytes:
    line = b"%d %d" % (found.inode, found.generation)
    return b"%s %s\n" % (line, hashlib.sha256(line + b"\n").hexdigest().encode())
