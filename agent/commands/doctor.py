"""`evidenced doctor`: why this host does not collect or deliver, and what to do about it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence

from agent.configuration.loading import Loaded, load, take_judgements
from agent.configuration.secrets import judge_files
from agent.doctor.check import Check, fine, note, wrong
from agent.doctor.folders import check_folders, check_room, check_users
from agent.doctor.key import check_key
from agent.doctor.service import check_sockets, check_supervisor, clock, listening_now
from agent.doctor.sinks import check_sinks
from agent.doctor.state import check_log, check_outbox, check_quarantine
from agent.places import Places, places
from agent.terminal import counted
from collectors.catalogue import all_tables
from program.errors import COULD_NOT_RUN, OK

EPILOG = """\
One line for each thing that was looked at: ✓ as it should be, ! good to know, ✗ wrong, with what to do about it.
Nothing is changed; the network is used only to reach the sinks that are configured. As root it sees the most.

exit codes: 0 nothing is wrong, 3 something is"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    parser.add_argument("--config", metavar="FILE", help="main file of the configuration")
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")


def run(options: argparse.Namespace) -> int:
    """Look at everything and say how it was found."""
    found = []
    for each in examine(load(options.config, all_tables()), places(options.state)):
        found.append(each)
        facts = {"found": each.found, "state": each.state, "step": each.step, "subject": each.subject}
        print(json.dumps(facts) if options.json else each, flush=True)
    if not options.json:
        print(verdict(found))
    return COULD_NOT_RUN if any(each.state == "wrong" for each in found) else OK


def verdict(found: Sequence[Check]) -> str:
    """Return the last line, with the mark of the worst line above it."""
    wrongs, notes = (sum(each.state == state for each in found) for state in ("wrong", "note"))
    if wrongs:
        return f"✗ {counted(wrongs, 'thing')} wrong"
    return f"! nothing is wrong, {counted(notes, 'thing')} to know" if notes else "✓ nothing is wrong"


def examine(loaded: Loaded, where: Places) -> Iterator[Check]:
    """Yield every check, what is near before what is far."""
    yield from _configuration(loaded)
    yield from check_users(where)
    yield from check_folders(where)
    yield from check_room(where)
    yield clock()
    yield from check_sockets(where, listening_now())
    yield from check_supervisor(where)
    yield check_key(where)
    yield from check_log(where)
    yield from check_quarantine(where)
    settings = loaded.configuration
    yield from check_outbox(where, settings.outbox.limit, has_sink=bool(settings.sinks))
    yield from check_sinks(settings, where)


def _configuration(loaded: Loaded) -> Iterator[Check]:
    take_judgements(loaded, judge_files(loaded.configuration))
    for each in loaded.problems:
        yield wrong("configuration", str(each), "see evidenced.toml(5)")
    for each in loaded.warnings:
        yield note("configuration", str(each))
    if not loaded.problems:
        yield fine(
            "configuration", counted(len(loaded.files), "file") if loaded.files else f"no {loaded.main}: defaults"
        )
