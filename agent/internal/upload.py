"""`evidenced _upload`: one attempt to deliver what waits to every sink, then it ends.

Exit code 0: there is nothing left to try. 75 (EX_TEMPFAIL of sysexits.h): try again; stdout has the seconds until then.
A wait of a few seconds is spent here: to start a process for it would cost more.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import select
import socket
import sys
import time
from collections.abc import Sequence

from agent.configuration.model import Configuration
from agent.delivery.attempt import Way, attempt
from agent.delivery.in_force import in_force
from agent.delivery.one_sink import Outcome
from agent.places import Places, places
from agent.signing import listening
from evidence.errors import BusyError
from program.errors import OK, CommandError
from program.text import printable

TRY_LATER = os.EX_TEMPFAIL
BUSY_S = 10.0
PATIENCE_S = 30.0
"""The longest wait that is spent here."""
TOGETHER_S = 120.0
"""The longest that such waits may add up to."""
LINE_LIMIT = 500


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")
    parser.add_argument("--config", metavar="FILE", help="configuration")


def run(options: argparse.Namespace) -> int:
    """Make an attempt, and another one after a short wait or when somebody asked for it meanwhile."""
    where = places(options.state)
    configuration = in_force(where, options.config)
    try:
        nudges = listening.passed(os.environ, None)
    except ValueError as error:
        raise CommandError(str(error)) from None
    ends = time.monotonic() + TOGETHER_S
    while True:
        _hear(nudges)
        wait_s = attempted(where, configuration, options.config)
        patience_s = 0.0 if wait_s is None or wait_s > PATIENCE_S or time.monotonic() > ends else wait_s
        if not _nudged(nudges, patience_s) and patience_s == 0:
            break
    if wait_s is None:
        return OK
    sys.stdout.write(f"{math.ceil(wait_s)}\n")
    return TRY_LATER


def attempted(where: Places, configuration: Configuration, config: str | None) -> float | None:
    """Make one attempt and return after how many seconds there is to be another one, None if all is delivered."""
    try:
        outcomes = attempt(where, configuration.sinks, Way(configuration.upload.rate, config=config), _say)
    except BusyError:
        return BUSY_S  # somebody makes one by hand
    return soonest(outcomes)


def soonest(outcomes: Sequence[Outcome]) -> float | None:
    """Return when the first sink is due again; None if none is."""
    return min((each.wait_s for each in outcomes if each.wait_s is not None), default=None)


def _hear(nudges: socket.socket | None) -> None:
    """Take in all nudges that came so far: the attempt that follows is the answer to them."""
    if nudges is not None:
        nudges.setblocking(False)  # noqa: FBT003  it takes no keyword
        with contextlib.suppress(BlockingIOError):
            while True:
                nudges.accept()[0].close()


def _nudged(nudges: socket.socket | None, wait_s: float) -> bool:
    """Wait, and return whether somebody asked for an attempt meanwhile."""
    if nudges is None:
        time.sleep(wait_s)
        return False
    return bool(select.select([nudges], [], [], wait_s)[0])


def _say(line: str) -> None:
    """Write a line for the journal."""
    sys.stderr.write(f"evidenced-upload: {printable(line, LINE_LIMIT)}\n")
    sys.stderr.flush()
