"""The clocks that stand in every entry: wall, since boot, and whether anybody keeps the wall clock right."""

from __future__ import annotations

import ctypes
import datetime as dt
import os
import time

TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
TIMESYNC = "/run/systemd/timesync/synchronized"
"""Touched by systemd-timesyncd whenever it has set the clock: systemd-timesyncd.service(8)."""
BOOT_ID = "/proc/sys/kernel/random/boot_id"


def wall_text(moment: float) -> str:
    """Return POSIX seconds as RFC 3339 in UTC with milliseconds."""
    text = dt.datetime.fromtimestamp(moment, dt.timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def boottime_ms() -> int:
    """Return milliseconds since boot, suspend included; see CLOCK_BOOTTIME in clock_gettime(2)."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def boot_id() -> str | None:
    """Return the kernel's random id of this boot; None where /proc does not give it."""
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            return file.read(64).strip() or None
    except OSError:
        return None


def synchronised() -> bool | None:
    """Return whether the kernel's clock is disciplined by a time source; None if it cannot be asked.

    The signer's unit may not ask the kernel, since the call that asks is the one that sets (ProtectClock=); there
    systemd-timesyncd's word counts, and of a clock that another program keeps nothing is known.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(256)  # struct timex is 208 bytes at most; zero: ask only
    try:
        state: int = libc.adjtimex(buffer)
    except AttributeError:
        return None
    if state < 0:
        return True if os.path.exists(TIMESYNC) else None
    return state != TIME_ERROR
