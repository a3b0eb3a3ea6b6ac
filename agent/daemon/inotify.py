"""The kernel's notes about folders: inotify(7), by its four calls."""

from __future__ import annotations

import ctypes
import os
import sys

IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE = 0x2, 0x4, 0x8
IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x40, 0x80, 0x100, 0x200
IN_DELETE_SELF, IN_MOVE_SELF = 0x400, 0x800
IN_UNMOUNT, IN_Q_OVERFLOW, IN_IGNORED = 0x2000, 0x4000, 0x8000
IN_ONLYDIR, IN_DONT_FOLLOW, IN_EXCL_UNLINK, IN_MASK_ADD = 0x1000000, 0x2000000, 0x4000000, 0x20000000

APPEARING = IN_CREATE | IN_MOVED_TO
CHANGING = APPEARING | IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_DELETE
GOING = IN_DELETE_SELF | IN_MOVE_SELF
GONE = GOING | IN_UNMOUNT | IN_IGNORED
_PLACE = IN_ONLYDIR | IN_EXCL_UNLINK | IN_MASK_ADD
_HEAD = 16
_BUFFER = 64 << 10

_libc = ctypes.CDLL(None, use_errno=True)


class Note:
    """One event: which watch, what happened, and to which name in the folder."""

    __slots__ = ("mask", "name", "watch")

    def __init__(self, watch: int, mask: int, name: bytes) -> None:
        self.watch = watch
        self.mask = mask
        self.name = name


class Inotify:
    """One queue of the kernel. Raises: OSError EMFILE where the user has as many as it may."""

    def __init__(self) -> None:
        self.fd = _done(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "inotify_init1")

    def add(self, folder: bytes, *, whole: bool, follow: bool) -> int:
        """Watch a folder and return the watch's number: the same one for the same folder, however it is named.

        `whole` asks for every change in it, else only for names that appear. Raises: OSError ENOENT, ENOTDIR,
        EACCES, ENOSPC where the user watches as much as it may.
        """
        mask = (CHANGING if whole else APPEARING) | GOING | _PLACE | (0 if follow else IN_DONT_FOLLOW)
        return _done(_libc.inotify_add_watch(self.fd, folder, ctypes.c_uint32(mask)), "inotify_add_watch")

    def remove(self, watch: int) -> None:
        """Watch no longer; one that went by itself is no error."""
        _libc.inotify_rm_watch(self.fd, watch)

    def read(self) -> list[Note]:
        """Return some of what is in the queue; nothing if it is empty."""
        try:
            return notes_in(os.read(self.fd, _BUFFER))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Give the queue back."""
        os.close(self.fd)


def notes_in(data: bytes) -> list[Note]:
    """Return the events of one read, whose names the kernel fills up with zero bytes."""
    found, start = [], 0
    while start + _HEAD <= len(data):
        watch = int.from_bytes(data[start : start + 4], _ORDER, signed=True)
        mask = int.from_bytes(data[start + 4 : start + 8], _ORDER)
        size = int.from_bytes(data[start + 12 : start + 16], _ORDER)
        found.append(Note(watch, mask, data[start + _HEAD : start + _HEAD + size].rstrip(b"\0")))
        start += _HEAD + size
    return found


def _done(result: int, call: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result


_ORDER = sys.byteorder
