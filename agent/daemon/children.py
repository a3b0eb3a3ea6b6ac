"""Starting the other parts of the program, hearing them out, and never waiting for one of them."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from agent.daemon import rights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OUTPUT_LIMIT = 1 << 20
KILL_WAIT_S = 10.0
"""How long a killed child may take to end; after that it is stuck in the kernel, and left behind."""
MOUNTINFO = "EVIDENCED_MOUNTINFO_FD"
"""Names the descriptor of /proc/1/mountinfo that a child inherits."""
SETTINGS = "EVIDENCED_SETTINGS_FD"
"""Names the descriptor of the configuration that was planned, likewise."""
FIRST_PASSED = 3  # SD_LISTEN_FDS_START, sd_listen_fds(3)
_SYSTEMD = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_ADJUSTED = "500"  # of oom_score_adj; what a run starts goes before it
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGPIPE)


class Order:
    """What to start, and with which rights."""

    def __init__(self, purpose: str, words: list[str], limit_s: float) -> None:
        self.purpose = purpose
        self.words = words
        self.limit_s = limit_s
        self.tables: tuple[str, ...] = ()
        self.events: tuple[str, ...] = ()
        self.capabilities = rights.NOTHING
        self.user: rights.User | None = None
        self.listens: int | None = None
        """A socket that it is handed, as systemd would."""
        self.dies_with_us = True
        self.sees_mounts = False
        self.settings = ""
        """The configuration that was planned, for one who works by it."""
        self.said: Callable[[Child, str, float], None] | None = None
        """Who gets each line of its output, and when; without anybody all of it is held."""


class Child:
    """One started process. Its output is kept up to a limit."""

    def __init__(self, order: Order, pid: int, pipe: int, now: float) -> None:
        self.order = order
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.pipe = pipe
        self.began = now
        self.deadline = now + order.limit_s
        self.killed_at: float | None = None
        self.held = bytearray()
        self.silent = False
        """Whether it has closed its output, which is then always ready and never has anything to say."""

    def hear(self, now: float) -> None:
        """Take what it has printed, without waiting; whole lines go where its order says. Too much ends it."""
        with contextlib.suppress(BlockingIOError):
            while not self.silent:
                data = os.read(self.pipe, 1 << 16)
                self.silent = not data
                self.held += data
                if len(self.held) > OUTPUT_LIMIT:
                    self.held.clear()
                    self.kill(now)
        if self.order.said is not None:
            *whole, rest = self.held.split(b"\n")
            self.held = bytearray(rest)
            for each in whole:
                self.order.said(self, each.decode("utf-8", "replace"), now)

    def overdue(self, now: float) -> bool:
        """Return whether it had its time, or was killed and does not end."""
        return now >= (self.deadline if self.killed_at is None else self.killed_at + KILL_WAIT_S)

    def next_time(self) -> float:
        """Return when `overdue` has another answer."""
        return self.deadline if self.killed_at is None else self.killed_at + KILL_WAIT_S

    def ask(self) -> None:
        """Ask it to end."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def kill(self, now: float) -> None:
        """End it and its group."""
        if self.killed_at is None:
            self.killed_at = now
        for end in (os.killpg, os.kill):  # it may not have its group yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                end(self.pid, signal.SIGKILL)

    def status(self) -> int | None:
        """Return the exit code, 128 and the number of the signal that ended it, or None while it runs."""
        found, status = os.waitpid(self.pid, os.WNOHANG)
        if found == 0:
            return None
        return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def close(self) -> None:
        """Give its descriptors back, once."""
        for fd in (self.pidfd, self.pipe):
            if fd >= 0:
                os.close(fd)
        self.pidfd = self.pipe = -1


def start(order: Order, now: float) -> Child:
    """Start a child. Raises: OSError if there are no processes or descriptors left."""
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    parent = os.getpid()
    try:
        pid = os.fork()
        if pid == 0:
            _become(order, writing, parent)
        return _known(order, pid, reading, now)
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)


def _known(order: Order, pid: int, pipe: int, now: float) -> Child:
    try:
        return Child(order, pid, pipe, now)
    except OSError:  # no descriptor for it: nobody would ever hear of its end
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _become(order: Order, writing: int, parent: int) -> None:
    """Turn this fork into the program; it ends here whatever happens."""
    try:
        signal.set_wakeup_fd(-1)
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        os.setpgid(0, 0)
        _adjust()
        environment = dict(os.environ)
        _hand_down(order, environment)
        os.set_blocking(writing, True)
        os.dup2(writing, 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        rights.lower(order.capabilities, order.user)
        rights.forgo()
        if order.dies_with_us:
            rights.end_with(parent)
        os.execve(order.words[0], order.words, environment)  # noqa: S606  this program itself
    except OSError as error:
        os.write(2, f"evidenced: {order.purpose}: could not be started: {error.strerror}\n".encode())
    finally:
        sys.stderr.flush()
        os._exit(127)


def _adjust() -> None:
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(_ADJUSTED)


def _hand_down(order: Order, environment: dict[str, str]) -> None:
    """Give the child the descriptors it is to have, by the names that sd_listen_fds(3) and we have for them."""
    for name in (*_SYSTEMD, MOUNTINFO, SETTINGS):
        environment.pop(name, None)
    if order.listens is not None:
        if order.listens == FIRST_PASSED:
            os.set_inheritable(FIRST_PASSED, True)  # noqa: FBT003  os gives it no name
        else:
            os.dup2(order.listens, FIRST_PASSED)
        environment |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": order.purpose}
    if order.sees_mounts:
        with contextlib.suppress(OSError):  # it asks itself then, and says what it could not see
            fd = os.open("/proc/1/mountinfo", os.O_RDONLY)
            os.set_inheritable(fd, True)  # noqa: FBT003  as above
            environment[MOUNTINFO] = str(fd)
    if order.settings:
        fd = os.memfd_create("settings", 0)  # no file, so no owner to trust, and nothing to take away afterwards
        with open(fd, "wb", closefd=False) as file:
            file.write(order.settings.encode())
        os.lseek(fd, 0, os.SEEK_SET)
        environment[SETTINGS] = str(fd)
