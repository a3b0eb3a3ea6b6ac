"""What a program asks of its own process: three open streams, time to clean up when it is stopped, a true exit code."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Any

from program.errors import BAD_EVIDENCE, COULD_NOT_RUN, OK, WRONG_USE
from program.interrupts import hang_ups_told


class StoppedError(BaseException):
    """A signal asks the program to end; like KeyboardInterrupt, it lets everything on the way clean up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Told(io.FileIO):
    """Where people are told: that it takes no more, such as a file on a full disk, changes nothing of what is done."""

    def write(self, data: Any) -> int:
        """Return how much was written, or could not be and is let go."""
        written = None
        with contextlib.suppress(OSError):
            written = super().write(data)
        return memoryview(data).nbytes if written is None else written


def run(program: str, main: Callable[[Sequence[str]], int]) -> int:
    """Run a command line with the arguments of this process and return its exit code."""
    try:
        code = main(sys.argv[1:])
    except SystemExit as stop:  # argparse leaves so
        code = stop.code if isinstance(stop.code, int) else OK
    except Exception as defect:  # noqa: BLE001  Python itself would end with 1, which says that evidence is bad
        sys.excepthook(type(defect), defect, defect.__traceback__)
        code = COULD_NOT_RUN
    except (KeyboardInterrupt, StoppedError) as stop:
        code = _stopped(program, stop)
    try:
        return _flushed(program, code)
    except (KeyboardInterrupt, StoppedError) as stop:  # somebody holds the other end of a pipe, and does not read
        _let_go()
        return _stopped(program, stop)


def open_streams(program: str) -> bool:
    """Return whether there is a standard output, and say if not; the other two lead to /dev/null if they were closed.

    Otherwise the next file that is opened, such as the log, would be what everybody takes for stderr.
    """
    for number in range(3):
        if not os.path.lexists(f"/proc/self/fd/{number}"):
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115  open for as long as the process lives
    encoding, errors = sys.stderr.encoding, sys.stderr.errors
    told = io.BufferedWriter(_Told(2, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(told, encoding, errors, line_buffering=True)
    if sys.stdout is None:
        sys.stderr.write(f"{program}: standard output: expected an open file, found it closed\n")
    return sys.stdout is not None


def heed(signals: Iterable[signal.Signals]) -> None:
    """Raise StoppedError at these signals, but for those that are ignored, as nohup(1) has it."""
    for each in signals:
        if signal.getsignal(each) == signal.SIG_DFL:
            signal.signal(each, _stop)


def _stop(number: int, _frame: FrameType | None) -> None:
    raise StoppedError(number)


def _stopped(program: str, stop: KeyboardInterrupt | StoppedError) -> int:
    number = stop.number if isinstance(stop, StoppedError) else signal.SIGINT
    sys.stderr.write(f"{program}: stopped by {signal.Signals(number).name}\n")
    return 128 + number


def _flushed(program: str, code: int) -> int:
    """Return the exit code once all that was printed is written; if it cannot be, 3 in place of a result."""
    try:
        # That nothing could be said stands: a reader who has gone must not make an end by SIGPIPE of it.
        with hang_ups_told() if code == WRONG_USE else contextlib.nullcontext():
            sys.stdout.flush()
    except OSError as error:
        if code in {OK, BAD_EVIDENCE} and not isinstance(error, BrokenPipeError):
            why = (error.strerror or "an error").lower()
            sys.stderr.write(f"{program}: standard output: expected to write all of it, found: {why}\n")
        _let_go()
        return COULD_NOT_RUN if code in {OK, BAD_EVIDENCE} else code
    return code


def _let_go() -> None:
    """Give up what is not printed yet: it would be tried again, and told again, at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
