"""The programs that may be run, and how: no shell, no environment, no input, a deadline, an output limit."""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import stat
import subprocess
import time

import msgspec

from collectors.reading.errors import ReadError, read_error
from collectors.reading.resolve import PLACE, walk

ENVIRONMENT = {"LC_ALL": "C", "PATH": "/nonexistent"}
_CHUNK = 1 << 16
_COMPLAINT = 1 << 16
_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None)
_LAST_WAIT_S = 1.0  # a killed child that does not end by then is stuck in the kernel, and left there


class Command(msgspec.Struct, frozen=True):
    """One program with fixed arguments; nothing that a user of the host can influence is part of it."""

    name: str
    argv: tuple[str, ...]
    deadline_s: float = 10.0
    output_limit: int = 1 << 20
    ok_codes: tuple[int, ...] = (0,)
    reasons: tuple[tuple[bytes, str], ...] = ()
    """What a complaint on stderr means, in our words: the first text that is in it counts."""
    otherwise: str = ""
    """What to do about a failure for which there is no reason."""

    @property
    def source(self) -> str:
        """Return how a gap names the command."""
        return f"command:{self.name}"


SSHD_TEST = Command(
    "sshd-test",
    ("/usr/sbin/sshd", "-T"),
    reasons=(
        (b"no hostkeys available", "there is no host key that it may read; they are for root only"),
        (b"rivilege separation user", "the account that it runs its unprivileged part as does not exist"),
        (b"rivilege separation directory", "the folder that it runs its unprivileged part in does not exist"),
        (b"not in connection test specification", "a Match block asks about the connection, of which there is none"),
        (b"configuration option", "its configuration has an option that it does not know; run sshd -t to see it"),
        (b"Permission denied", "it may not read all that it needs; run it as root"),
    ),
    otherwise="run sshd -t as root to see why",
)

LISTED = frozenset({SSHD_TEST})
"""All that `Host.run` agrees to run."""


def run_program(command: Command) -> bytes:
    """Return what a program printed on stdout; of stderr only what it means is kept, since it may quote a file.

    Raises: AbsentError if there is no such program; ReadError `permission_denied` if someone other than root
    could have put it there, `timed_out`, `truncated` past the output limit, `command_failed` on another exit.
    """
    fd = _trusted_program(command)
    ours = os.getpid()
    try:
        child = subprocess.Popen(
            command.argv,
            executable=f"/proc/self/fd/{fd}",  # the inode that was checked, not a name that may change
            pass_fds=(fd,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
            preexec_fn=lambda: _end_with(ours),  # noqa: PLW1509  a collecting child has one thread
        )
    except OSError as error:
        raise ReadError(command.source, "command_failed", os.strerror(error.errno or 0).lower()) from None
    finally:
        os.close(fd)
    return _finish(command, child)


def checked(command: Command, code: int, output: bytes, complaint: bytes = b"") -> bytes:
    """Return a command's output if its exit code is one that is expected; a complaint says why it is another."""
    if code not in command.ok_codes:
        why = next((meaning for text, meaning in command.reasons if text in complaint), command.otherwise)
        detail = f"expected exit code {command.ok_codes[0]}, found {code}" + (f": {why}" if why else "")
        raise ReadError(command.source, "command_failed", detail)
    return output


def _end_with(parent: int) -> None:
    """Have the kernel end this process, just forked, when its parent ends: it must not outlive a killed collector."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the line above took effect
        os._exit(1)


def _finish(command: Command, child: subprocess.Popen[bytes]) -> bytes:
    """Return the output of a started child; its whole process group is gone afterwards."""
    until = time.monotonic() + command.deadline_s
    try:
        output, complaint = _output(command, child, until)
        ended = _ended(child, until)
        complaint += _left(child)
    finally:
        _end(child)
    if not ended:
        raise ReadError(command.source, "timed_out", f"still running after {command.deadline_s:g} s")
    return checked(command, child.returncode, output, complaint)


def _output(command: Command, child: subprocess.Popen[bytes], until: float) -> tuple[bytes, bytes]:
    """Return all of stdout, and the beginning of what stood on stderr by the end of it."""
    output, complaint = bytearray(), bytearray()
    with selectors.DefaultSelector() as ready:
        for pipe, into in ((child.stdout, output), (child.stderr, complaint)):
            if pipe is not None:
                ready.register(pipe, selectors.EVENT_READ, into)
        while child.stdout in ready.get_map():
            found = ready.select(max(0.0, until - time.monotonic()))
            if not found:
                raise ReadError(command.source, "timed_out", f"no end of output after {command.deadline_s:g} s")
            for key, _ in sorted(found, key=lambda each: each[0].fileobj is child.stdout):  # a complaint comes first
                if not _taken(key.fd, key.data):
                    ready.unregister(key.fileobj)
            if len(output) > command.output_limit:
                raise ReadError(command.source, "truncated", f"more than {command.output_limit} bytes of output")
            del complaint[_COMPLAINT:]
    return bytes(output), bytes(complaint)


def _left(child: subprocess.Popen[bytes]) -> bytes:
    """Return what stands on stderr now, without waiting for more."""
    if child.stderr is None:
        return b""
    os.set_blocking(child.stderr.fileno(), False)
    try:
        return os.read(child.stderr.fileno(), _COMPLAINT)
    except BlockingIOError:  # something it started has it open still
        return b""


def _taken(fd: int, into: bytearray) -> bool:
    """Take what is there to be read; return whether more may come."""
    part = os.read(fd, _CHUNK)
    into.extend(part)
    return bool(part)


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
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
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
