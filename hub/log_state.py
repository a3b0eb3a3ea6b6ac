"""What the hub holds of one log: size, frontier, the newest note, leaves."""

from __future__ import annotations

import itertools
import sqlite3
from dataclasses import dataclass

from evidence import note, tree
from evidence.errors import DamageError
from evidence.note import Checkpoint, Note
from evidence.tree import HASH_BYTES, Frontier
from hub.database import Database
from hub.registry import KnownKey, key_of_log, origin_of


@dataclass(frozen=True)
class LogState:
    """A log of a known key, which may have no entries yet."""

    id: str
    owner: KnownKey
    size: int
    frontier: Frontier
    note: Note | None
    """The newest acknowledgement."""
    witness: Note | None
    """What the witness key cosigned last."""

    @property
    def origin(self) -> str:
        """Return the origin in its checkpoints."""
        return origin_of(self.id)

    @property
    def witnessed(self) -> Checkpoint | None:
        """Return the checkpoint that the witness key cosigned last."""
        return None if self.witness is None else Checkpoint.parse(self.witness.text)


def load(database: Database, log_id: str) -> LogState | None:
    """Return what is held of a log, None if its key is not known."""
    owner = key_of_log(database, log_id)
    if owner is None:
        return None
    row = database.one("SELECT size, frontier, note, witness_note FROM logs WHERE id = ?", log_id)
    if row is None:
        return LogState(log_id, owner, 0, Frontier(), None, None)
    return LogState(
        id=log_id,
        owner=owner,
        size=row["size"],
        frontier=Frontier.of(row["size"], tree.split(row["frontier"])),
        note=_note(row["note"]),
        witness=_note(row["witness_note"]),
    )


def _note(stored: bytes | None) -> Note | None:
    return None if stored is None else note.parse(stored)


def leaves(database: Database, log_id: str, start: int, stop: int) -> bytes:
    """Return the leaf hashes of a range. Raises: DamageError if the database does not hold all of them."""
    rows = database.all(
        "SELECT first, leaves FROM pieces WHERE log = (SELECT number FROM logs WHERE id = ?) "
        "AND first < ? AND first + count > ? ORDER BY first",
        log_id,
        stop,
        start,
    )
    data = b"".join(row["leaves"] for row in rows)
    begin = rows[0]["first"] if rows else start
    found = data[(start - begin) * HASH_BYTES : (stop - begin) * HASH_BYTES]
    if begin > start or len(found) != (stop - start) * HASH_BYTES or not _unbroken(rows):
        raise DamageError(f"log {log_id}", f"leaves {start} to {stop - 1}", "others", "restore the hub from a backup")
    return found


def _unbroken(rows: list[sqlite3.Row]) -> bool:
    ends = [(row["first"], row["first"] + len(row["leaves"]) // HASH_BYTES) for row in rows]
    return all(before[1] == behind[0] for before, behind in itertools.pairwise(ends))


def frontier_at(database: Database, state: LogState, size: int) -> Frontier:
    """Return the hub's own tree of the first `size` entries, at most those it has."""
    if size == state.size:
        return state.frontier.copy()
    return Frontier(tree.split(leaves(database, state.id, 0, size)))


def ensure_row(connection: sqlite3.Connection, state: LogState) -> int:
    """Return the number of a log's row; it is made if it is not there."""
    connection.execute(
        "INSERT INTO logs (id, key, host, size, frontier, protection, gaps, witness_size) "
        "SELECT ?, id16, host, 0, x'', 'file', 0, 0 FROM keys WHERE id16 = ? ON CONFLICT DO NOTHING",
        (state.id, state.owner.key.id16),
    )
    row = connection.execute("SELECT number FROM logs WHERE id = ?", (state.id,)).fetchone()
    return int(row["number"])
