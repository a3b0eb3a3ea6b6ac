"""What the hub's program asks of its own process: time to clean up when a signal stops it.

`serve` heeds the same signals in its own way once it serves. The room of agents has the like of its own, since
neither imports the other.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType


class StoppedError(BaseException):
    """A signal asks the program to end; like KeyboardInterrupt, it lets everything on the way clean up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def start() -> int:
    """Run the command line that this process was started with and return its exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a job in the background has it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # there is nothing to clean up while the program is loaded
    from hub.main import main  # noqa: PLC0415  takes a while, in which somebody may press Ctrl-C

    try:
        _heed_signals()
        return main(sys.argv[1:])
    except StoppedError as stop:
        sys.stderr.write(f"evidenced-hub: stopped by {signal.Signals(stop.number).name}\n")
        return 128 + stop.number


def _heed_signals() -> None:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) == signal.SIG_DFL:  # nohup(1) has one ignored
            signal.signal(each, _stop)


def _stop(number: int, _frame: FrameType | None) -> None:
    raise StoppedError(number)
