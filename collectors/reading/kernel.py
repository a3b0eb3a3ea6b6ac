"""openat2(2), which Python has no name for, called by its number."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Callable

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

_NUMBER = 437  # the same on every architecture that has it, but Alpha
_RETRIES = 3


class UnavailableError(Exception):
    """There is no openat2 here, or it gave up before a busy tree: take the other way."""


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@functools.cache
def _syscall() -> Callable[..., int]:
    function = ctypes.CDLL(None, use_errno=True).syscall
    function.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
    function.restype = ctypes.c_long
    return function


def openat2(folder_fd: int, path: str, flags: int, resolve: int) -> int:
    """Return a descriptor of a path held by RESOLVE_ rules; `flags` must contain O_PATH.

    Raises: OSError as open(2); UnavailableError if the kernel has no such call (ENOSYS), a seccomp filter
    forbids it (EPERM, which an O_PATH open never says), or a rename elsewhere made it give up (EAGAIN)
    four times.
    """
    how, raw = _How(flags=flags, mode=0, resolve=resolve), os.fsencode(path)
    if b"\0" in raw:
        raise ValueError("expected a path without NUL, found one")  # ctypes would cut it there
    for _ in range(1 + _RETRIES):
        fd = _syscall()(_NUMBER, folder_fd, raw, ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        if number in {errno.ENOSYS, errno.EPERM}:
            break
        if number not in {errno.EAGAIN, errno.EINTR}:
            raise OSError(number, os.strerror(number))
    raise UnavailableError
