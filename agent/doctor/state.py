"""The log and its surroundings: damage, quarantine, and what waits to be delivered."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from agent.delivery.outbox import waiting
from agent.doctor.check import Check, age, fine, note, seconds_since, why, wrong
from agent.places import Places
from agent.signing.standing import are_aside
from agent.terminal import counted
from evidence.errors import EvidenceError, UnsafeStateError
from evidence.reader import LogInfo, StoreReader
from program.text import printable

QUARANTINE = "quarantine"
OLD_S = 86400
"""A batch that waits longer is worth a look."""


def check_log(places: Places) -> Iterator[Check]:
    """Yield whether the log can be read to its end, and what was found damaged."""
    if not os.path.lexists(places.state):
        yield note("log", "there is none yet", "the service or evidenced inventory begins it")
        return
    if not os.access(places.state, os.R_OK | os.X_OK):
        yield note("log", f"{places.state}: this user cannot look inside", "ask as root")
        return
    try:
        with StoreReader(places.state) as reader:
            logs = reader.logs()
            if not logs:
                yield note("log", "there is none yet", "the service or evidenced inventory begins it")
                return
            yield _newest(reader, logs)
    except UnsafeStateError as error:
        yield wrong("log", printable(str(error)), "see the folders above")
    except EvidenceError as error:
        yield wrong("log", printable(str(error)), "see the quarantine below and evidenced log")
    except PermissionError as error:
        yield note("log", why(error), "ask as root")


def _newest(reader: StoreReader, logs: list[LogInfo]) -> Check:
    newest = logs[-1]
    total = counted(sum(each.size for each in logs), "entry")
    last = reader.entry(newest.id, newest.size - 1) if newest.size else None
    wall = None if last is None else last.wall
    past = None if wall is None else seconds_since(wall, time.time())
    text = f"{total} in {counted(len(logs), 'log')}, key {newest.keyid}"
    if past is None:
        return fine("log", text)
    if past < -OLD_S:
        return wrong("log", f"{text}; the last entry is {age(-past)} ahead of the clock", "set the clock right")
    return fine("log", f"{text}, last entry {age(past)} ago")


def check_quarantine(places: Places) -> Iterator[Check]:
    """Yield what was found damaged so far."""
    try:
        names = os.listdir(os.path.join(places.state, QUARANTINE))
    except FileNotFoundError:
        return
    except OSError as error:
        yield note(QUARANTINE, why(error), "ask as root")
        return
    told = sum(each.endswith(".recorded") for each in names)
    untold = sum(each.endswith(".finding") for each in names)
    path = os.path.join(places.state, QUARANTINE)
    if untold:
        found = f"{counted(untold, 'finding')} that no entry tells of yet"
        yield wrong(QUARANTINE, found, f"the next signature records them; look into {path}")
    elif told:
        found = f"{counted(told, 'finding')}, all of them in the log as damage events"
        yield note(QUARANTINE, found, f"see to the disk; what was damaged is kept in {path}")
    else:
        yield fine(QUARANTINE, "empty")


def check_outbox(places: Places, limit: int, *, has_sink: bool) -> Iterator[Check]:
    """Yield how much waits for delivery, and for how long."""
    try:
        batches = waiting(places.outbox)
        aside = are_aside(places.outbox) if os.path.isdir(places.outbox) else []
        sizes = [os.stat(each.path, follow_symlinks=False).st_size for each in batches]
    except OSError as error:
        yield note("outbox", f"{places.outbox}: {why(error)}", "ask as root")
        return
    if aside:
        what = "file that is no sound batch" if len(aside) == 1 else "files that are no sound batches"
        step = "what the log has of it is written anew; see to the disk, then remove what was put aside"
        yield wrong("outbox", f"{len(aside)} {what}, kept as {aside[0]}", step)
    if not batches:
        yield fine("outbox", "empty")
        return
    total = sum(sizes)
    oldest = time.time() - min(each.since for each in batches)
    text = f"{counted(len(batches), 'batch')[:-1]}es" if len(batches) > 1 else "1 batch"
    text += f", {total >> 10} KiB, the oldest {age(oldest)} old"
    if not has_sink:
        yield note("outbox", text, "no sink is configured: nothing is delivered, see evidenced.toml(5)")
    elif total > limit * 9 // 10:
        yield wrong(
            "outbox", f"{text}, near its limit", "see the sinks below; the oldest batches lose their rows first"
        )
    elif oldest > OLD_S:
        yield wrong("outbox", text, "see the sinks below")
    else:
        yield fine("outbox", text)
