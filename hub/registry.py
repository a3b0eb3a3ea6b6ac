"""Hosts, keys and logs as the hub knows them: rows in, plain values out."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from evidence.keys import PublicKey
from hub.database import Database

LOG_ID = re.compile(r"([0-9a-f]{16})-([1-9][0-9]{0,14})\Z")
ORIGIN = re.compile(r"evidenced/([0-9a-f]{16})/([1-9][0-9]{0,14})\Z")
How = Literal["enrolled", "rotated", "history"]


@dataclass(frozen=True)
class KnownKey:
    """A key whose logs are taken, and whose host it belongs to."""

    key: PublicKey
    host: int


def log_id_of(origin: str) -> str | None:
    """Return the log id of an origin, None if it is none of ours."""
    found = ORIGIN.match(origin)
    return f"{found[1]}-{found[2]}" if found else None


def origin_of(log_id: str) -> str:
    """Return the origin in the checkpoints of a log."""
    return f"evidenced/{log_id.replace('-', '/')}"


def known_key(database: Database, id16: str) -> KnownKey | None:
    """Return the key that origins call by 16 hex digits, None if it is not known."""
    row = database.one("SELECT raw, host FROM keys WHERE id16 = ?", id16)
    return None if row is None else KnownKey(PublicKey(row["raw"]), row["host"])


def key_of_log(database: Database, log_id: str) -> KnownKey | None:
    """Return the key of a log, None if the id is none or its key is not known."""
    found = LOG_ID.match(log_id)
    return known_key(database, found[1]) if found else None


def add_host(connection: sqlite3.Connection, name: str, now: int) -> int:
    """Add a host and return its number."""
    row = connection.execute("INSERT INTO hosts (name, enrolled) VALUES (?, ?) RETURNING id", (name, now)).fetchone()
    return int(row["id"])


def host_of(connection: sqlite3.Connection, key: PublicKey) -> int | None:
    """Return the host that has a key, None if the key is not known."""
    row = connection.execute("SELECT host FROM keys WHERE id16 = ? AND raw = ?", (key.id16, key.raw)).fetchone()
    return None if row is None else int(row["host"])


def join_hosts(connection: sqlite3.Connection, hosts: Collection[int]) -> int:
    """Make one host of those whose keys were shown to follow each other, and return it: the one that came first."""
    kept = min(hosts)
    for other in set(hosts) - {kept}:
        connection.execute("UPDATE keys SET host = ? WHERE host = ?", (kept, other))
        connection.execute("UPDATE logs SET host = ? WHERE host = ?", (kept, other))
        connection.execute(
            "UPDATE hosts SET seen = (SELECT max(seen) FROM hosts WHERE id IN (?, ?)) WHERE id = ?",
            (kept, other, kept),
        )
        connection.execute("DELETE FROM hosts WHERE id = ?", (other,))
    return kept


def add_key(connection: sqlite3.Connection, key: PublicKey, host: int, how: How, now: int) -> bool:
    """Add a key of a host; return False, and change nothing, if another key has its 16 digits."""
    connection.execute(
        "INSERT INTO keys (id16, raw, host, how, since) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (key.id16, key.raw, host, how, now),
    )
    row = connection.execute("SELECT raw FROM keys WHERE id16 = ?", (key.id16,)).fetchone()
    return bool(row["raw"] == key.raw)
