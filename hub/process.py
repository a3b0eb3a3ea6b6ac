"""What the hub's program asks of its own process: three open streams, and time to clean up when a signal stops it.

`serve` heeds the same signals in its own way once it serves. The room of agents has the like of its own, since
neither imports the other.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from types import FrameType
from typing import Any

from hub.errors import COULD_NOT_RUN, OK


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


def start() -> int:
    """Run the command line that this process was started with and return its exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a job in the background has it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # there is nothing to clean up while the program is loaded
    if not _streams_are_open():
        sys.stderr.write("evidenced-hub: standard output: expected an open file, found it closed\n")
        return COULD_NOT_RUN
    from hub.main import main  # noqa: PLC0415  takes a while, in which somebody may press Ctrl-C

    try:
        _heed_signals()
        code = main(sys.argv[1:])
    except SystemExit as stop:  # argparse leaves so
        code = stop.code if isinstance(stop.code, int) else 0
    except Exception as defect:  # noqa: BLE001  Python itself would end with 1, which says that evidence is bad
        sys.excepthook(type(defect), defect, defect.__traceback__)
        code = COULD_NOT_RUN
    except StoppedError as stop:
        sys.stderr.write(f"evidenced-hub: stopped by {signal.Signals(stop.number).name}\n")
        code = 128 + stop.number
    return _flushed(code)


def _streams_are_open() -> bool:
    """Return whether there is a standard output; the other two lead to /dev/null if they were closed.

    Otherwise the next file that is opened, such as a part of a pack, would be what everybody takes for stderr.
    """
    for number in range(3):
        if not os.path.lexists(f"/proc/self/fd/{number}"):
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115  open for as long as the process lives
    told = io.BufferedWriter(_Told(2, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(told, sys.stderr.encoding, "backslashreplace", line_buffering=True)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a locale may have no place for … or for a host's name
    return sys.stdout is not None


def _flushed(code: int) -> int:
    """Return the exit code once all that was printed is written; 3 instead of 0 if it cannot be."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if code == OK and not isinstance(error, BrokenPipeError):
            why = (error.strerror or "an error").lower()
            sys.stderr.write(f"evidenced-hub: standard output: expected to write all of it, found: {why}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left would be tried again, and told again, at exit
        return code or COULD_NOT_RUN
    return code


def _heed_signals() -> None:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) == signal.SIG_DFL:  # nohup(1) has one ignored
            signal.signal(each, _stop)


def _stop(number: int, _frame: FrameType | None) -> None:
    raise StoppedError(number)
