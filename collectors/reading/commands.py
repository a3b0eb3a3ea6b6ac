"""The programs that may be run, and how: no shell, no environment, no input, a deadline, an output limit."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import stat
import subprocess
import time
from dataclasses import dataclass

from collectors.reading.errors import ReadError, read_error
from collectors.reading.resolve import PLACE, walk

ENVIRONMENT = {"LC_ALL": "C", "PATH": "/nonexistent"}
_CHUNK = 1 << 16
_LAST_WAIT_S = 1.0  # a killed child that does not end by then is stuck in the kernel, and left there


@dataclass(frozen=True)
class Command:
    """One program with fixed arguments; nothing that a user of the host can influence is part of it."""

    name: str
    argv: tuple[str, ...]
    deadline_s: float = 10.0
    output_limit: int = 1 << 20
    ok_codes: tuple[int, ...] = (0,)

    @property
    def source(self) -> str:
        """Return how a gap names the command."""
        return f"command:{self.name}"


SSHD_TEST = Command("sshd-test", ("/usr/sbin/sshd", "-T"))

LISTED = frozenset({SSHD_TEST})
"""All that `Host.run` agrees to run."""


def run_program(command: Command) -> bytes:
    """Return what a program printed on stdout; stderr is not kept, since it may quote a file.

    Raises: AbsentError if there is no such program; ReadError `permission_denied` if someone other than root
    could have put it there, `timed_out`, `truncated` past the output limit, `command_failed` on another exit.
    """
    fd = _trusted_program(command)
    try:
        child = subprocess.Popen(
            command.argv,
            executable=f"/proc/self/fd/{fd}",  # the inode that was checked, not a name that may change
            pass_fds=(fd,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
        )
    except OSError as error:
        raise ReadError(command.source, "command_failed", os.strerror(error.errno or 0).lower()) from None
    finally:
        os.close(fd)
    return _finish(command, child)


def checked(command: Command, code: int, output: bytes) -> bytes:
    """Return a command's output if its exit code is one that is expected."""
    if code not in command.ok_codes:
        raise ReadError(command.source, "command_failed", f"expected exit code {command.ok_codes[0]}, found {code}")
    return output


def _finish(command: Command, child: subprocess.Popen[bytes]) -> bytes:
    """Return the output of a started child; its whole process group is gone afterwards."""
    until = time.monotonic() + command.deadline_s
    try:
        output = _output(command, child, until)
        ended = _ended(child, until)
    finally:
        _end(child)
    if not ended:
        raise ReadError(command.source, "timed_out", f"still running after {command.deadline_s:g} s")
    return checked(command, child.returncode, output)


def _output(command: Command, child: subprocess.Popen[bytes], until: float) -> bytes:
    parts: list[bytes] = []
    total = 0
    pipe = child.stdout
    if pipe is None:
        return b""
    with selectors.DefaultSelector() as ready:
        ready.register(pipe, selectors.EVENT_READ)
        while True:
            if not ready.select(max(0.0, until - time.monotonic())):
                raise ReadError(command.source, "timed_out", f"no end of output after {command.deadline_s:g} s")
            part = os.read(pipe.fileno(), _CHUNK)
            if not part:
                return b"".join(parts)
            parts.append(part)
            total += len(part)
            if total > command.output_limit:
                raise ReadError(command.source, "truncated", f"more than {command.output_limit} bytes of output")


def _ended(child: subprocess.Popen[bytes], until: float) -> bool:
    """Return whether the child ended in time; it stays unreaped, so that its group keeps its number."""
    while True:
        if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.005)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the group, then take the child's exit code."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    if child.stdout is not None:
        child.stdout.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_LAST_WAIT_S)


def _trusted_program(command: Command) -> int:
    """Return an O_PATH descriptor of the program, if only root can have put it and all above it there."""

    def only_roots(fd: int) -> None:
        status = os.fstat(fd)
        writable = not stat.S_ISLNK(status.st_mode) and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if status.st_uid != 0 or writable:
            raise ReadError(
                command.source,
                "permission_denied",
                "expected a program that only root can replace, found another",
            )

    root = os.open("/", PLACE)
    try:
        fd = walk(root, command.argv[0], follow=True, passed=only_roots)
    except OSError as error:
        raise read_error(command.source, error) from None
    finally:
        os.close(root)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ReadError(command.source, "not_regular", "expected a program, found something else")
    return fd
