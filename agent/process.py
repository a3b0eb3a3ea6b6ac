"""What the program asks of its own process: UTF-8, three open streams, and time to clean up when it is stopped."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from agent.errors import COULD_NOT_RUN, WRONG_USE
from agent.interrupts import hang_ups_told, raise_again
from agent.main import main as command_line
from agent.terminal import plainly


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


def start(main: Callable[[Sequence[str]], int] = command_line) -> int:
    """Run the command line that this process was started with and return its exit code."""
    _speak_utf8()
    if not _streams_are_open():
        sys.stderr.write("evidenced: standard output: expected an open file, found it closed\n")
        return WRONG_USE if sys.argv[1:2] == ["verify"] else COULD_NOT_RUN  # 3 of verify says that a pack is incomplete
    try:
        _heed_signals()
        code = main(sys.argv[1:])
    except SystemExit as stop:  # argparse leaves so
        code = stop.code if isinstance(stop.code, int) else 0
    except Exception as defect:  # noqa: BLE001  Python itself would end with 1, which says that evidence is bad
        sys.excepthook(type(defect), defect, defect.__traceback__)
        code = COULD_NOT_RUN
    except (KeyboardInterrupt, StoppedError) as stop:
        number = stop.number if isinstance(stop, StoppedError) else signal.SIGINT
        sys.stderr.write(f"evidenced: stopped by {signal.Signals(number).name}\n")
        code = 128 + number
    return _flushed(code)


def _speak_utf8() -> None:
    """Begin again in UTF-8 mode if the locale is another one.

    The bytes of a path must not depend on the language of whoever reads the host: under ISO 8859-1 Python would
    take the two bytes of an é in a name for two letters, and look for a home that passwd has in UTF-8 elsewhere.
    """
    if sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606  this program itself
    codecs.register_error("plainly", plainly)  # PYTHONIOENCODING may name a set of characters without ·
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plainly")


def _streams_are_open() -> bool:
    """Return whether there is a standard output; the other two lead to /dev/null if they were closed.

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
    return sys.stdout is not None


def _heed_signals() -> None:
    raise_again()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `evidenced … | head` ends quietly, as other tools do
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) == signal.SIG_DFL:  # nohup(1) has it ignored
            signal.signal(each, _stop)


def _stop(number: int, _frame: FrameType | None) -> None:
    raise StoppedError(number)


def _flushed(code: int) -> int:
    """Return the exit code once all that was printed is written; if it cannot be 3, or 2 where that was it already."""
    try:
        # That nothing could be said stands: a reader who has gone must not make an end by SIGPIPE of it.
        with hang_ups_told() if code == WRONG_USE else contextlib.nullcontext():
            sys.stdout.flush()
    except OSError as error:
        if code not in {WRONG_USE, COULD_NOT_RUN}:
            why = (error.strerror or "an error").lower()
            sys.stderr.write(f"evidenced: standard output: expected to write all of it, found: {why}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left would be tried again, and told again, at exit
        return code if code == WRONG_USE else COULD_NOT_RUN
    return code
