"""What one collecting child may use, and the order in which the kernel may take it away."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal

import msgspec

MIB = 1 << 20
FAILURE_LIMIT = 300
"""Characters of the reason why a table failed; it stands in a statement, which has a limit of its own."""

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one child; a child that passes one costs its own tables only."""

    wall_s: float = 300
    cpu_s: int = 120
    data_bytes: int = 512 * MIB
    rows: int = 250_000
    """Rows a table."""
    row_bytes: int = 256 << 10
    """Bytes of one row, and of one gap."""
    table_bytes: int = 48 * MIB
    """Bytes of all rows of a table, and of all its gaps."""
    gaps: int = 10_000
    """Gaps a table that are kept one by one; more are folded by reason, with their count."""


# The sweep walks the whole tree: a host with fifty million files takes its time, in one child.
SWEEP = Limits(wall_s=3600, cpu_s=1800)


def confine(limits: Limits, parent: int) -> None:
    """Put this process, a fresh child of `parent`, under its limits; called once, before anything is read."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above took effect
        os._exit(1)
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_CPU, limits.cpu_s)
    _lower(resource.RLIMIT_DATA, limits.data_bytes)
    with contextlib.suppress(PermissionError):  # a unit may deny it, and set Nice= itself
        os.nice(5)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")  # first in line for the OOM killer, so that nothing else of the host is


def _lower(which: int, value: int) -> None:
    """Lower a limit, never above what an administrator has already set."""
    _, hard = resource.getrlimit(which)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))
