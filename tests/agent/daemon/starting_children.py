"""A program of a few lines in place of a part, and its answer."""

from __future__ import annotations

import os
import select
import sys
import time

from agent.daemon import children
from agent.daemon.children import Child, Order

PYTHON = next(filter(os.path.exists, ("/usr/bin/python3", sys.executable)))
"""One that every user may run, if there is one: a developer's own may be closed to others."""
BARE = [PYTHON, "-I", "-S", "-c"]


def started(script: str, **facts: object) -> Child:
    """Start a child that runs a script in Python."""
    order = Order("test", [*BARE, script], 20)
    for name, value in facts.items():
        setattr(order, name, value)
    return children.start(order, time.monotonic())


def answer(child: Child) -> tuple[int, str]:
    """Wait for a child to end, and return its exit code and what it printed."""
    try:
        select.select([child.pidfd], [], [], 20)
        code = child.status()
        child.hear(time.monotonic())
        assert code is not None
        return code, bytes(child.held).decode()
    finally:
        child.close()


def told(script: str, **facts: object) -> str:
    """Return what a script prints, which ends well."""
    code, text = answer(started(script, **facts))
    assert code == 0, text
    return text.strip()


def exists(pid: int) -> bool:
    """Return whether a process runs; one that ended and was not waited for does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int, seconds: float = 5) -> bool:
    """Return whether a process ends in time."""
    until = time.monotonic() + seconds
    while exists(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not exists(pid)
