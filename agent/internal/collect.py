"""`evidenced _collect`: one run. Signs the events that wait, reads the tables that are due, and signs what was read.

What it prints is for the supervisor alone, which takes it with care: agent.daemon.results says how.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from agent.choosing import chosen
from agent.collection.limits import MIB, SWEEP, Limits
from agent.collection.parent import collect, jobs
from agent.collection.receiver import Collection, Receiver, lines_of
from agent.configuration.digest import planned
from agent.configuration.leaving_out import disabled_in, left_out
from agent.configuration.model import Configuration
from agent.daemon.parts import LATER
from agent.internal.events import parse_event
from agent.internal.homes import homes_in
from agent.observing import Target, observation
from agent.places import places
from agent.signing.door import Door, open_door
from collectors.catalogue import all_tables
from collectors.contract import Table
from collectors.reading.host import Host
from evidence.errors import EvidenceError, FormatError, LimitError
from evidence.log import Entry
from evidence.statement import Observation
from program.errors import OK, WRONG_USE, CommandError
from program.text import printable

HANGS = "an earlier reading of it hangs in the kernel, most likely on a mount that does not answer"
DOOR_WAIT_S = 30.0
"""For another writer: a command of somebody's own may hold the log for a while."""
INTERVAL_DIGITS = 9
PORTION_BYTES = 48 * MIB
"""Of rows and gaps in one snapshot, unless a single table has more: the signer's memory is bounded."""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--reason", choices=("scheduled", "change"), default="scheduled")
    parser.add_argument("--tables", type=_promises, default={}, metavar="NAME=S,…", help="read these; each interval")
    parser.add_argument("--hanging", type=_promises, default={}, metavar="NAME=S,…", help="fail these unread")
    parser.add_argument("--event", action="append", default=[], metavar="KIND[:…]", help="sign this first; repeatable")
    parser.add_argument("--config", metavar="FILE")
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")


def run(options: argparse.Namespace) -> int:
    """Sign events, read, sign; return 75 if the log could not be written, which is tried again later."""
    loaded = planned(options.config, os.environ)
    configuration = loaded.configuration
    promise: dict[str, int] = {**options.tables, **options.hanging}
    tables = left_out(loaded, chosen(sorted(promise), option="--tables")) if promise else []
    try:
        with open_door(places(options.state), DOOR_WAIT_S, options.config) as door:
            try:
                _run(door, options, configuration, tables, promise)
            finally:
                sys.stderr.writelines(door.news())
    except (FormatError, LimitError):  # a defect of ours, which waiting does not mend
        raise
    except (EvidenceError, OSError) as error:
        sys.stderr.write(f"evidenced _collect: not signed: {printable(str(error), 1000)}\n")
        return LATER
    return OK


def _run(
    door: Door,
    options: argparse.Namespace,
    configuration: Configuration,
    tables: Sequence[Table],
    promise: Mapping[str, int],
) -> None:
    target = Target("/", door.secret)
    seen = observation(target, dict(configuration.labels))
    seen = msgspec.structs.replace(seen, reason=options.reason)
    entry = _signed_events(door, options.event, seen)
    if tables:
        collections = _read(target, tables, options.hanging, configuration)
        _tell_homes(target, collections)
        for portion in portions(collections):
            entry = door.snapshot(portion, seen, promise, disabled_in(configuration, all_tables()))
        for each in collections:
            _tell_table(each)
    if entry is not None:
        _tell("signed", entry.sequence, entry.origin)
        anew = any(each.startswith("config-changed") for each in options.event)  # there may be a sink that has nothing
        _fill_outbox(door, at_once=anew or options.reason == "change")


def _fill_outbox(door: Door, *, at_once: bool) -> None:
    """Have a batch written before the supervisor starts the uploader, which would find none yet.

    What the schedule brought may wait for more. A batch that cannot be written now is written later, by the signer.
    """
    try:
        if at_once:
            door.batches()
        else:
            door.flush()
    except (EvidenceError, OSError) as error:
        sys.stderr.write(f"evidenced _collect: outbox: {printable(str(error), 1000)}\n")


def _signed_events(door: Door, words: Sequence[str], seen: Observation) -> Entry | None:
    """Sign events in their order and return the last one's entry; what can never be signed is passed over."""
    entry = None
    for number, text in enumerate(words, 1):
        try:
            kind, fields, absence = parse_event(text)
            entry = door.event(kind, fields, {}, seen, absence)
        except FormatError as error:
            sys.stderr.write(f"evidenced _collect: event not signed: {printable(str(error), 1000)}\n")
        _tell("event", number)
    return entry


def _read(
    target: Target, tables: Sequence[Table], hanging: Mapping[str, int], configuration: Configuration
) -> list[Collection]:
    """Return a collection of each table; those that hang fail without being tried."""
    limits = _limits(configuration)

    def plan(each: Sequence[Table]) -> list[tuple[Sequence[Table], Limits]]:
        return jobs(each, *limits)

    good = [each for each in tables if each.name not in hanging]
    bad = Receiver([each for each in tables if each.name in hanging], Limits(), lambda _name, _rows: None)
    return [*collect(good, target.open, plan=plan, on_stuck=_tell_stuck), *bad.finish(HANGS)]


def portions(collections: Iterable[Collection], most: int = PORTION_BYTES) -> Iterator[list[Collection]]:
    """Yield collections in their order, as many as the signer is handed at once."""
    held: list[Collection] = []
    left = most
    for each in collections:
        size = sum(map(len, each.rows)) + sum(map(len, lines_of(each.gaps)))
        if held and size > left:
            yield held
            held, left = [], most
        held.append(each)
        left -= size
    if held:
        yield held


def _limits(configuration: Configuration) -> tuple[Limits, Limits]:
    """Return the limits of a table's child, and of the one that sweeps."""
    own = configuration.limits
    usual = msgspec.structs.replace(Limits(), cpu_s=own.cpu, data_bytes=own.memory // MIB * MIB)
    return usual, msgspec.structs.replace(SWEEP, cpu_s=own.sweep_cpu, data_bytes=usual.data_bytes)


def _tell_stuck(tables: Sequence[Table], pid: int) -> None:
    for each in tables:
        _tell("stuck", each.name, pid)


def _tell_homes(target: Target, collections: Sequence[Collection]) -> None:
    """Say below which homes keys of users are to be watched, if users were read."""
    for each in collections:
        if each.table.name == "users" and each.rows:
            host: Host = target.open()
            for home in homes_in(host, each.rows):
                _tell("home", home)


def _tell_table(each: Collection) -> None:
    cost = each.cost
    counts = (len(each.rows), sum(each.reasons.values()), cost.wall_ms, cost.cpu_ms, cost.peak_kib)
    _tell("table", each.table.name, each.coverage, *counts)


def _tell(*words: object) -> None:
    os.write(1, ("\t".join(map(str, words)) + "\n").encode("utf-8", "surrogateescape"))


def _promises(text: str) -> dict[str, int]:
    """Return intervals by table."""
    found = {}
    for each in text.split(","):
        name, _, seconds = each.partition("=")
        if not (seconds.isascii() and seconds.isdigit() and 1 <= len(seconds) <= INTERVAL_DIGITS):
            raise CommandError("--tables: expected NAME=SECONDS, found another text", WRONG_USE)
        found[name] = int(seconds)
    return found
