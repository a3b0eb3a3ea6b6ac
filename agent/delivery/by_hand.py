"""The outbox's batches, written by hand into any folder: for the air gap, resumable, each compared once it is there."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

import msgspec

from agent.delivery.errors import BatchError
from agent.delivery.filing import copy
from agent.delivery.outbox import Waiting, waiting, waiting_at
from agent.delivery.sinks.directory import is_whole
from agent.observing import Target, now, observation
from agent.users import acting_for
from evidence.batch_form import place_of
from evidence.errors import StateError
from evidence.log import EvidenceStore
from evidence.reader import LogInfo, StoreReader

WAIT_S = 30.0
"""The signer keeps the store for as long as it is busy, and a little more."""


class Written(msgspec.Struct, frozen=True):
    """One batch in the folder; `new` if it was written now."""

    name: str
    first: int
    size: int
    new: bool


def write_all(state: str, folder: str, since: str | None) -> Iterator[Written]:
    """Write all entries into batches in a folder, or those from the first at or after a wall time on.

    What stands there already, whole, is left: so an export that broke off goes on, and the next one adds what is new.
    Raises: EvidenceError, OSError, DeliveryError.
    """
    with acting_for(state), StoreReader(state) as reader:
        logs = [(log, _begin(reader, log, since)) for log in reader.logs()]
        secret = reader.secret()
    if secret is None:
        raise StateError(state, "a log", "none", "it is begun by the first signature: evidenced inventory")
    for log, first in logs:
        at = first
        while at < log.size:
            standing = _standing(folder, log.id, at)
            if standing is None:
                yield (written := _write(secret, state, folder, log.id, at))
                at = written.size
            else:
                yield Written(standing.name, standing.place.first, standing.place.size, new=False)
                at = standing.place.size


def _begin(reader: StoreReader, log: LogInfo, since: str | None) -> int:
    """Return the first entry of a log at or after a time; clocks may jump, so all that follow it are taken."""
    if since is None:
        return 0
    for each in reader.entries(log.id):
        wall = each.wall
        if wall is not None and wall >= since:
            return each.sequence
    return log.size


def _standing(folder: str, log_id: str, first: int) -> Waiting | None:
    """Return the longest whole batch in the folder that begins with an entry."""
    there = [each for each in waiting(folder) if (each.place.log_id, each.place.first) == (log_id, first)]
    return next((each for each in sorted(there, key=lambda each: -each.place.size) if is_whole(each.path)), None)


def _write(secret: bytes, state: str, folder: str, log_id: str, first: int) -> Written:
    """Write one batch beside, as whoever owns the state, and copy it as ourselves: the folder may be root's alone."""
    with acting_for(state):
        own = tempfile.TemporaryDirectory(prefix="evidenced-")
    try:
        with acting_for(state):
            machine = observation(Target("/", secret), {}).machine
            with EvidenceStore.open(state, machine=machine, clock=now, wait_s=WAIT_S) as store:
                info = store.write_batch(own.name, log_id, first)
        batch = waiting_at(os.path.join(own.name, info.name))
        if batch is None or place_of(info.name) is None:
            raise BatchError(info.name, "the batch that was just written", "none")
        return Written(info.name, info.first, info.size, new=copy(folder, batch))
    finally:
        with acting_for(state), contextlib.suppress(OSError):
            own.cleanup()
