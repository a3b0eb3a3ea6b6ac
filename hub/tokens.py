"""Enrolment tokens: who holds one may enrol a key. Only hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Sequence

import msgspec

from evidence.errors import FormatError
from hub.database import Database

BYTES = 32
MIN_LENGTH = 16
MAX_LENGTH = 512


class TokenState(msgspec.Struct, frozen=True, kw_only=True):
    """One token as the operator sees it."""

    id: int
    label: str
    created: int
    expires: int | None
    uses: int | None
    revoked: int | None


def hashed(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def new(database: Database, label: str, now: int, *, expires: int | None, uses: int | None) -> str:
    """Make a token and return it, for the only time."""
    token = secrets.token_urlsafe(BYTES)
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO tokens (hash, label, created, expires, uses) VALUES (?, ?, ?, ?, ?)",
            (hashed(token), label, now, expires, uses),
        )
    return token


def revoke(database: Database, number: int, now: int) -> bool:
    """Revoke a token by its number and return whether there was one to revoke."""
    with database.transaction() as connection:
        done = connection.execute("UPDATE tokens SET revoked = ? WHERE id = ? AND revoked IS NULL", (now, number))
        return done.rowcount == 1


def listed(database: Database) -> list[TokenState]:
    """Return all tokens, oldest first."""
    rows = database.all("SELECT id, label, created, expires, uses, revoked FROM tokens ORDER BY id")
    return [TokenState(**dict(row)) for row in rows]


def parse_file(text: str, where: str) -> tuple[str, ...]:
    """Return the hashes of the tokens in a file, one a line; what begins with # is passed over.

    Raises: FormatError on a line that is no token; it never shows one.
    """
    lines = [each.strip() for each in text.split("\n")]
    tokens = [each for each in lines if each and not each.startswith("#")]
    for each in tokens:
        if not MIN_LENGTH <= len(each) <= MAX_LENGTH or not each.isascii() or not each.isprintable() or " " in each:
            expected = f"tokens of {MIN_LENGTH} to {MAX_LENGTH} ASCII characters without spaces, one a line"
            raise FormatError(where, expected, "another line")
    return tuple(hashed(each) for each in tokens)


class TokenCheck:
    """Says whether a token is good now, from the database and from a file that was read at the start."""

    def __init__(self, database: Database, fixed: Sequence[str] = ()) -> None:
        self._database = database
        self._fixed = tuple(fixed)

    def accepts(self, token: str, now: int) -> bool:
        """Return whether a token may enrol, or repeat an enrolment."""
        digest = hashed(token)
        if any(hmac.compare_digest(digest, each) for each in self._fixed):
            return True
        row = self._database.one("SELECT expires, revoked FROM tokens WHERE hash = ?", digest)
        return row is not None and row["revoked"] is None and (row["expires"] is None or now < row["expires"])

    def spend(self, connection: sqlite3.Connection, token: str) -> bool:
        """Count one new key within a transaction and return whether there was a use left."""
        digest = hashed(token)
        if any(hmac.compare_digest(digest, each) for each in self._fixed):
            return True
        done = connection.execute(
            "UPDATE tokens SET uses = uses - (uses IS NOT NULL) WHERE hash = ? AND revoked IS NULL "
            "AND (uses IS NULL OR uses > 0)",
            (digest,),
        )
        return done.rowcount == 1
