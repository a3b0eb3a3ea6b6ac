"""The kernel's timers: one on the clock since boot, which counts suspend, and one that tells when the clock is set.

Source: timerfd_create(2). `os.timerfd_create` is Python 3.13's; poll(2)'s own timeout does not count suspend.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time

CLOCK_REALTIME, CLOCK_BOOTTIME = 0, 7
TFD_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK
TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET = 1, 2
FAR_S = 1 << 33
"""A time on the wall clock that no test of ours reaches, and that the kernel's nanoseconds can hold."""
JUMP_S = 2.0
"""A smaller step of the wall clock is a time service's work."""
SLEEP_S = 1.0
"""A shorter suspend is none."""

_libc = ctypes.CDLL(None, use_errno=True)


def boot() -> float:
    """Return seconds since boot, suspend included."""
    return time.clock_gettime(CLOCK_BOOTTIME)


class Timer:
    """A descriptor that becomes readable at a time."""

    def __init__(self, clock: int) -> None:
        self.fd: int = _libc.timerfd_create(clock, TFD_FLAGS)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create: " + os.strerror(ctypes.get_errno()))

    def set(self, moment: float, flags: int = 0) -> None:
        """Become readable at a moment of the clock; at infinity never. A moment that is over is now."""
        whole, part = (0, 0) if moment == float("inf") else (int(moment), int(moment % 1 * 1e9))
        if moment != float("inf") and (whole, part) <= (0, 0):
            whole, part = 0, 1  # all zero would stop it
        value = (ctypes.c_long * 4)(0, 0, whole, part)
        if _libc.timerfd_settime(self.fd, TFD_TIMER_ABSTIME | flags, ctypes.byref(value), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime: " + os.strerror(ctypes.get_errno()))

    def clear(self) -> bool:
        """Take what there is to read; return whether the clock was set."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
            return True
        return False


class Changes:
    """Notices that the wall clock was set and that the host slept, by comparing clocks."""

    def __init__(self, wall: float, boottime: float, monotonic: float) -> None:
        self._wall_off = wall - boottime
        self._slept = boottime - monotonic

    def noticed(self, wall: float, boottime: float, monotonic: float) -> list[tuple[str, float, float]]:
        """Return what happened since the last call: (kind, from, to) in POSIX seconds of the wall clock."""
        found = []
        slept = boottime - monotonic - self._slept
        if slept >= SLEEP_S:
            found.append(("suspended", wall - slept, wall))
        expected = boottime + self._wall_off
        if abs(wall - expected) >= JUMP_S:
            found.append(("clock-jumped", expected, wall))
        self._wall_off = wall - boottime
        self._slept = boottime - monotonic
        return found
