"""From the command line of the supervisor to its loop: the lock, the first plan, the exit code."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import sys

from agent.daemon import children, clocks, reporting
from agent.daemon.children import Child, Order
from agent.daemon.plan import Plan, PlanError, plan_said, read_file
from agent.daemon.settings import Settings, read_settings
from agent.daemon.supervisor import PLAN_LIMIT_S, Supervisor

LOCK = "lock"
COULD_NOT_RUN = 3


def main(words: list[str]) -> int:
    """Supervise until asked to stop; return the exit code."""
    for each in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(each, signal.SIG_IGN)  # until they are heeded; else one that comes early would be the end
    try:
        settings = read_settings(words)
        lock = _locked(settings.run)
        if lock is None:
            return _complain(f"{settings.run}: expected no other supervisor, found one that runs; see evidenced status")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(settings.run, reporting.NAME))  # of one that was killed
        return Supervisor(settings, _first_plan(settings)).run()
    except PlanError as error:
        return _complain(str(error))
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return _complain(where + (error.strerror or type(error).__name__).lower())


def _locked(folder: str) -> int | None:
    """Return the lock that only one supervisor holds, None if another has it; whoever may open it may hold it."""
    fd = os.open(os.path.join(folder, LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _first_plan(settings: Settings) -> Plan:
    """Return the plan to begin with. Raises: PlanError."""
    if settings.plan:
        return plan_said(*read_file(settings.plan))
    child = children.start(Order("plan", settings.command("_plan"), PLAN_LIMIT_S), clocks.boot())
    try:
        return plan_said(*_heard(child))
    finally:
        child.close()


def _heard(child: Child) -> tuple[int, bytes]:
    """Return the exit code and the output of a child that is heard while it speaks: a pipe holds less than a plan."""
    while (now := clocks.boot()) < child.deadline and (code := child.status()) is None:
        select.select([child.pidfd, *([] if child.silent else [child.pipe])], [], [], child.deadline - now)
        child.hear(clocks.boot())
    child.hear(clocks.boot())
    if now >= child.deadline:
        child.kill(now)
        return 1, b""
    return code or 0, bytes(child.held)


def _complain(text: str) -> int:
    sys.stderr.write(f"evidenced run: {text}\n")
    return COULD_NOT_RUN
