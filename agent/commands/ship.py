"""`evidenced ship`: deliver now what waits, and say what became of it."""

from __future__ import annotations

import argparse
import sys

from agent.configuration.loading import configured
from agent.delivery.acting import acting_as_uploader
from agent.delivery.attempt import Way, attempt
from agent.delivery.in_force import in_force
from agent.delivery.one_sink import Outcome
from agent.places import Places, places
from agent.signing.door import open_door
from agent.terminal import thousands
from evidence.errors import EvidenceError
from program.errors import COULD_NOT_RUN, OK, CommandError
from program.text import printable

EPILOG = """\
Everything that is signed and not yet in a batch is put into one first. A sink that is held, or that waits for its next
attempt, is tried all the same. The service does the same by itself; this is for looking at it.

exit codes: 0 each sink has everything, 2 wrong use, 3 something was not delivered; nothing is ever lost by that"""

WAIT_S = 10.0
LINE_LIMIT = 500


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("--once", action="store_true", help="make one attempt, as it does without this")
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")
    parser.add_argument("--config", metavar="FILE", help="configuration that names the sinks")


def run(options: argparse.Namespace) -> int:
    """Deliver, and say to whom."""
    where = places(options.state)
    edited = configured(options.config)
    configuration = in_force(where, options.config)
    if {each.name: each for each in edited.sinks} != {each.name: each for each in configuration.sinks}:
        _say("the sinks in the files are not in force yet; systemctl reload evidenced, or SIGHUP to evidenced run")
    if not configuration.sinks:
        raise CommandError("expected a sink in the configuration, found none; see evidenced enroll, evidenced.toml(5)")
    write_batches(where, options.config)
    way = Way(configuration.upload.rate, by_hand=True, wait_s=WAIT_S, config=options.config)
    said: list[str] = []
    with acting_as_uploader(where):
        outcomes = attempt(where, configuration.sinks, way, said.append)
    reasons = [each.reason for each in outcomes if each.reason is not None]
    for line in said:
        if not any(reason in line for reason in reasons):  # those stand on stdout
            _say(line)
    for each in outcomes:
        print(line_of(each))
    return COULD_NOT_RUN if any(each.left for each in outcomes) else OK


def write_batches(where: Places, config: str | None) -> None:
    """Have all that is signed written into batches; what cannot be is said, and the rest is delivered."""
    try:
        with open_door(where, config=config) as door:
            while door.batches():
                pass
    except EvidenceError as error:
        _say(f"expected the signer to write what is new, found: {error}")


def line_of(outcome: Outcome) -> str:
    """Return what became of one sink, as a line."""
    text = f"{outcome.name}: {batches(outcome.delivered)} delivered"
    if not outcome.left:
        return f"{text}, nothing is left"
    reason = printable(outcome.reason or "to be tried again", LINE_LIMIT)
    return f"{text}, {batches(outcome.left)} left: {'held: ' if outcome.held else ''}{reason}"


def batches(count: int) -> str:
    """Return a count of batches."""
    return f"{thousands(count)} {'batch' if count == 1 else 'batches'}"


def _say(line: str) -> None:
    sys.stderr.write(f"evidenced ship: {printable(line, LINE_LIMIT)}\n")
