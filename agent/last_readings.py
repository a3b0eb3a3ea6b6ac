"""How each table was read last, as the log has it."""

from __future__ import annotations

import msgspec

from evidence.predicates import Snapshot, TableState
from evidence.reader import StoreReader

STEP = 64
FARTHEST = 1024
"""Entries that are looked at, newest first: a table that was not read within them is not shown."""


class LastReading(msgspec.Struct, frozen=True):
    """One table's latest collection, and the wall clock of its entry."""

    state: TableState
    wall: str


def last_readings(reader: StoreReader) -> dict[str, LastReading]:
    """Return the newest collection of each table in the newest log that has any. Raises: EvidenceError."""
    for log in reversed(reader.logs()):
        found: dict[str, LastReading] = {}
        for stop in range(log.size, max(0, log.size - FARTHEST), -STEP):
            entries = [each.statement for each in reader.entries(log.id, max(0, stop - STEP), stop)]
            for each in reversed(entries):
                if isinstance(each, Snapshot):
                    wall = each.predicate.clock.wall
                    found = {**{table.name: LastReading(table, wall) for table in each.predicate.tables}, **found}
        if found:
            return found
    return {}
