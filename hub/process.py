"""How the hub's program begins: with three open streams, and with time to clean up when a signal stops it.

`serve` heeds the same signals in its own way once it serves.
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Sequence

from program.errors import COULD_NOT_RUN
from program.interrupts import end_quietly, raise_again
from program.process import heed, open_streams, run

PROGRAM = "evidenced-hub"


def start() -> int:
    """Run the command line that this process was started with and return its exit code."""
    end_quietly()  # there is nothing to clean up while the program is loaded
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a locale may have no place for … or for a host's name
    if not open_streams(PROGRAM):
        return COULD_NOT_RUN
    return run(PROGRAM, _main)


def _main(arguments: Sequence[str]) -> int:
    from hub.main import main  # noqa: PLC0415  takes a while, in which somebody may press Ctrl-C

    raise_again()
    heed((signal.SIGTERM, signal.SIGHUP))
    return main(arguments)
