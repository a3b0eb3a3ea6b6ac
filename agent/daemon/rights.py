"""What a child may do: it is lowered to a set of capabilities between fork and exec, and can never gain another.

Source: capabilities(7), prctl(2), capset(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal

DAC_READ_SEARCH, SYS_PTRACE = 2, 19
FILE_READER = 1 << DAC_READ_SEARCH
PROCESS_READER = 1 << DAC_READ_SEARCH | 1 << SYS_PTRACE
NOTHING = 0

_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAPBSET_READ, _PR_CAPBSET_DROP = 1, 8, 23, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _AMBIENT_RAISE, _AMBIENT_CLEAR = 38, 47, 2, 4
_VERSION_3 = 0x20080522
_SETS = 6  # effective, permitted, inheritable, each in two halves

_libc = ctypes.CDLL(None, use_errno=True)


class User:
    """Whom a child runs as: uid, gid and all its groups."""

    __slots__ = ("gid", "groups", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int]) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups


def held() -> int:
    """Return the permitted capabilities of this process, as bits."""
    sets = (ctypes.c_uint32 * _SETS)()
    _done(_libc.capget(_head(), sets), "capget")
    return sets[1] | sets[4] << 32


def lower(wanted: int, user: User | None) -> None:
    """Become a user, if one is given, and keep of the capabilities at most those wanted, also over exec.

    The bounding set is lowered where that is allowed; without no_new_privs it is what stops root from having them all
    again. Raises: OSError.
    """
    kept = held() & wanted
    for number in range(64):
        if not kept >> number & 1 and _libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) == 1:
            _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # EPERM without CAP_SETPCAP, which no ordinary user has
    if user is not None:
        _done(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl")
        os.setgroups(user.groups)
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    low, high = kept & 0xFFFFFFFF, kept >> 32
    result = _libc.capset(_head(), (ctypes.c_uint32 * _SETS)(low, low, low, high, high, high))
    if os.geteuid() == 0 or ctypes.get_errno() != errno.EPERM:
        _done(result, "capset")
    # The unit's filter refuses capset. To one who is not root the exec that follows does the same: of all sets only the
    # ambient one lives on, capabilities(7).
    _libc.prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0)
    for number in range(64):
        if kept >> number & 1:
            _done(_libc.prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, number, 0, 0), "prctl")


def forgo() -> None:
    """Give up every way to gain privileges by running a program."""
    _done(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def end_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends; called last, since another uid undoes it."""
    _done(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent:  # it ended before the line above took effect
        os._exit(1)


def _head() -> ctypes.Array[ctypes.c_uint32]:
    return (ctypes.c_uint32 * 2)(_VERSION_3, 0)


def _done(result: int, call: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
