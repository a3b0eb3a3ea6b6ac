"""`evidenced status`: what runs, when each table was read and is due, and what waits for delivery."""

from __future__ import annotations

import argparse
import os
import sys

import msgspec

from agent.delivery.progress import Progress, look_at_all
from agent.last_readings import last_readings
from agent.places import SYSTEM, Places, recording_places
from agent.status_page import Log, Outbox, Sink, page, problems_of
from agent.supervision import is_running, load
from evidence.errors import EvidenceError
from evidence.reader import StoreReader
from program.errors import COULD_NOT_RUN, OK

EPILOG = """\
Without a running service, it shows what the log says of the last readings.

exit codes: 0 it runs and all is well, 3 it does not run, or something is amiss (the first lines say what)"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")


def run(options: argparse.Namespace) -> int:
    """Show how the service is."""
    where = _looked_at(options.state)
    running = is_running(where)
    said = load(where) if running else None
    log, outbox = _log(where), _outbox(where)
    sinks = _sinks(where)
    problems = list(problems_of(said, log, sinks, running=running))
    if options.json:
        facts = {"log": log, "outbox": outbox, "problems": problems, "running": running, "sinks": sinks}
        rest = {"state": where.state, "supervisor": said}
        sys.stdout.buffer.write(msgspec.json.encode({**facts, **rest}, order="sorted") + b"\n")
    else:
        for line in page(where, said, log, outbox, sinks, problems):
            print(line)
    return COULD_NOT_RUN if problems else OK


def _looked_at(given: str | None) -> Places:
    """Return the places of the service if it runs, whoever asks, unless this user has an agent that runs."""
    where = recording_places(given)
    return SYSTEM if given is None and not is_running(where) and is_running(SYSTEM) else where


def _log(where: Places) -> Log:
    """Return what the log says; where it cannot be read, why."""
    try:
        with StoreReader(where.state) as reader:
            logs = reader.logs()
            if not logs:
                return Log()
            newest = logs[-1]
            found = Log(newest.id, newest.size, newest.keyid, readings=last_readings(reader))
            receipt = reader.receipt(newest.id)
            if receipt is not None and receipt.receipts:
                latest = max(receipt.receipts, key=lambda each: each.time)
                found.receipt = {"name": latest.name, "size": latest.size, "time": latest.time}
            return found
    except EvidenceError as error:
        return Log(problem=str(error))
    except OSError as error:
        return Log(problem=f"{where.state}: {(error.strerror or 'an error').lower()}")


def _sinks(where: Places) -> list[Sink]:
    """Return how each sink fares; none to a user who cannot see what the uploader keeps."""
    try:
        found = look_at_all(where.upload)
    except (EvidenceError, OSError):
        return []
    return [_sink(name, each) for name, each in found.items()]


def _sink(name: str, progress: Progress) -> Sink:
    refusals = list(progress.parked.values())
    reason, since = progress.reason, progress.since
    if progress.state == "ok" and refusals:
        reason, since = refusals[0].reason, refusals[0].since
    return Sink(name, progress.state, reason, since, progress.last_success, len(refusals))


def _outbox(where: Places) -> Outbox:
    try:
        with os.scandir(where.outbox) as names:
            sizes = [each.stat(follow_symlinks=False).st_size for each in names if each.name.endswith(".tar.gz")]
    except FileNotFoundError:
        return Outbox(0, 0)
    except OSError:
        return Outbox()
    return Outbox(len(sizes), sum(sizes))
