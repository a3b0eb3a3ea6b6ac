"""`evidenced wrap`: run a command, and record that it ran and how it ended; never its arguments or its output."""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Sequence

from agent.places import own_log_note, recording_places
from agent.signing.door import open_door
from agent.signing.records import JOB
from evidence.errors import EvidenceError
from program.errors import COULD_NOT_RUN, WRONG_USE, CommandError
from program.process import StoppedError
from program.text import printable

EPILOG = """\
evidenced wrap --job nightly-backup -- /usr/local/bin/backup --all

The command has our stdin, stdout and stderr, gets the signals that we get, and its exit code is ours (128 and the
number of a signal that ended it; 126 and 127 as a shell says them). What is signed: the job's name, when it began and
ended, how long it took, exit code or signal, and the SHA-256 of its file's path. Neither arguments nor output.

If that cannot be signed, stderr says so and the command's exit code stands; with --require-record it is 3. So it is
if it was signed into your own log, since you may not have the host's: whoever requires a record looks for it there.
A log that --state names is the one you want."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
NOT_EXECUTABLE, NOT_FOUND = 126, 127  # POSIX, 2.8.2
LINE_LIMIT = 1000


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.usage = f"{parser.prog} [-h] --job NAME [--require-record] [--state DIR] -- COMMAND [ARG ...]"
    parser.add_argument("--job", required=True, metavar="NAME", help="what the log calls it")
    required = "exit 3 if it is not recorded in the host's log, or the one of --state"
    parser.add_argument("--require-record", action="store_true", help=required)
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what to run")


def run(options: argparse.Namespace) -> int:
    """Run the command, record it, and return its exit code."""
    if not NAME.fullmatch(options.job):
        raise CommandError("--job: expected 1 to 64 characters of A-Z a-z 0-9 _ . : -, found others", WRONG_USE)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise CommandError("expected a command to run behind --, found none", WRONG_USE)
    program = shutil.which(command[0])
    started, began = _now(), time.monotonic()
    code, number = (NOT_FOUND, None) if program is None else _ran(program, command)
    if program is None:
        sys.stderr.write(f"evidenced wrap: {printable(command[0])}: expected a program, found none\n")
    fields = {
        "name": options.job,
        "started": started,
        "ended": max(started, _now()),
        "duration_ms": str(round((time.monotonic() - began) * 1000)),
        **({"exit": str(code)} if number is None else {"signal": str(number)}),
        **({} if program is None else {"command": hashlib.sha256(os.fsencode(os.path.realpath(program))).hexdigest()}),
    }
    recorded = _record(options.state, fields)
    return code if recorded or not options.require_record else COULD_NOT_RUN


def _ran(program: str, command: Sequence[str]) -> tuple[int, int | None]:
    """Return the exit code that a shell would give, and the signal that ended the command, if one did."""
    watched = {*PASSED_ON, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)  # none is lost between here and the loop
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if it is ignored, the kernel forgets how a child ended
    try:
        child = os.fork()
        if child == 0:
            _become(program, command, before)
        status = _outlived(child, watched)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status), os.WTERMSIG(status)
    return os.WEXITSTATUS(status), None


def _outlived(child: int, watched: set[signal.Signals]) -> int:
    """Pass signals on until the command has ended, and return its wait status.

    One that the kernel sent (Ctrl-C on a terminal) has reached the command already: it is in our process group.
    """
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        told = signal.sigwaitinfo(watched)
        if told.si_signo != signal.SIGCHLD and told.si_code <= 0 and told.si_pid != child:
            os.kill(child, told.si_signo)


def _become(program: str, command: Sequence[str], mask: set[int | signal.Signals]) -> None:
    """Be the command, with signals as they are for any other; what cannot be run ends as it does in a shell."""
    try:
        for each in (signal.SIGPIPE, signal.SIGXFSZ):  # Python has them ignored, and that would be inherited
            signal.signal(each, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execv(program, list(command))  # noqa: S606  the user's own command, without a shell
    except OSError as error:
        why = (error.strerror or "an error").lower()
        sys.stderr.write(f"evidenced wrap: {printable(program)}: expected a program that can be run, found: {why}\n")
        sys.stderr.flush()
    finally:
        os._exit(NOT_EXECUTABLE)


def _record(state: str | None, fields: dict[str, str]) -> bool:
    """Return whether it was signed into the host's log, or the one that was named; if not, stderr says why."""
    try:
        where = recording_places(state)
        with open_door(where) as door:
            try:
                door.record(JOB, fields)
            finally:
                sys.stderr.writelines(door.news())
    except (EvidenceError, CommandError, OSError, StoppedError) as error:
        sys.stderr.write(f"evidenced wrap: not recorded: {printable(str(error), LINE_LIMIT)}\n")
        return False
    own = own_log_note(where, state)
    if own is not None:
        sys.stderr.write(f"evidenced wrap: {printable(own, LINE_LIMIT)}\n")
    return own is None


def _now() -> str:
    return dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
