"""Enrolment: a token, a key that proves to be there, and the older keys that led to it (docs/hub-protocol.md, 5)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from typing import Annotated, Any

import msgspec

from evidence import dsse, restricted_json, sshsig, strict_base64
from evidence.errors import EvidenceError, FormatError
from evidence.keys import PublicKey
from evidence.predicates import Event, parse
from hub.database import Database
from hub.problem import Problem
from hub.registry import ORIGIN, add_host, add_key, host_of, join_hosts, known_key, log_id_of
from hub.tokens import TokenCheck

NAMESPACE = "enrol@evidenced"
_WHERE = "enrolment"
_NONCE_BYTES = 16
_MAC_BYTES = 16


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last entry of an older log of the same host: it names the next key, and both keys signed it."""

    origin: str
    key: str
    envelope: str


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an enrolment."""

    key: str
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    nonce: Annotated[str, msgspec.Meta(max_length=200)]
    origin: str
    proof: Annotated[str, msgspec.Meta(max_length=4096)]
    rotations: Annotated[tuple[Rotation, ...], msgspec.Meta(max_length=64)] = ()


class Nonces:
    """Nonces that need no memory: a time, random bytes, and a keyed hash over both that only this process can make."""

    def __init__(self, age_s: int) -> None:
        self._age_s = age_s
        self._secret = secrets.token_bytes(32)

    def new(self, now: int) -> str:
        """Return a nonce that is good from now on."""
        text = f"{now:x}.{secrets.token_hex(_NONCE_BYTES)}"
        return f"{text}.{self._mac(text)}"

    def accepts(self, nonce: str, now: int) -> bool:
        """Return whether the nonce was made here, and lately."""
        text, _, mac = nonce.rpartition(".")
        if not nonce.isascii() or not hmac.compare_digest(self._mac(text), mac):
            return False
        return 0 <= now - int(text.partition(".")[0], 16) <= self._age_s

    def _mac(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()[: 2 * _MAC_BYTES]


def message(hub: str, nonce: str, origin: str) -> bytes:
    """Return the bytes that the key signs."""
    return f"evidenced enrolment v1\n{hub}\n{nonce}\n{origin}\n".encode()


def decode(body: bytes) -> Request:
    """Return the request in a body. Raises: Problem."""
    try:
        return msgspec.convert(restricted_json.decode(body, where=_WHERE), Request)
    except EvidenceError as error:
        raise Problem("malformed", f"{error}") from None
    except msgspec.ValidationError as error:
        raise Problem("malformed", f"{_WHERE}: {error}") from None


class Enrolments:
    """Checks enrolments and keeps them."""

    def __init__(self, database: Database, tokens: TokenCheck, hub: str, nonces: Nonces) -> None:
        self._database = database
        self._tokens = tokens
        self._hub = hub
        self._nonces = nonces

    def enrol(self, request: Request, token: str, now: int) -> tuple[bool, str]:
        """Enrol a key; return whether it is new, and the log id. Raises: Problem."""
        if not self._tokens.accepts(token, now):
            raise _no_token()
        if not request.name.isprintable():
            raise Problem("malformed", "name: expected printable characters, found others")
        log_id = log_id_of(request.origin)
        key = _key(request.key)
        if log_id is None or not log_id.startswith(f"{key.id16}-"):
            raise Problem("malformed", "origin: expected one of the key, found another")
        if not self._nonces.accepts(request.nonce, now):
            raise Problem("nonce", "ask for a new one")
        self._check_proof(request, key)
        older = older_keys(request.rotations, key)
        with self._database.transaction() as connection:
            return self._keep(connection, request, key, older, token, now), log_id

    def _check_proof(self, request: Request, key: PublicKey) -> None:
        try:
            sshsig.verify(request.proof, message(self._hub, request.nonce, request.origin), key, NAMESPACE)
        except EvidenceError as error:
            raise Problem("proof", f"{error}") from None

    def _keep(
        self,
        connection: sqlite3.Connection,
        request: Request,
        key: PublicKey,
        older: list[PublicKey],
        token: str,
        now: int,
    ) -> bool:
        """Keep the keys, of the one host that any of them belongs to already; return whether the newest is new."""
        known = known_key(self._database, key.id16)
        if known is not None and known.key != key:
            raise Problem("key", "a log id is never given to a second key")
        hosts = {host for each in (key, *older) if (host := host_of(connection, each)) is not None}
        if not hosts and not self._tokens.spend(connection, token):
            raise _no_token()
        host = join_hosts(connection, hosts) if hosts else add_host(connection, request.name, now)
        connection.execute("UPDATE hosts SET name = ? WHERE id = ?", (request.name, host))
        if not add_key(connection, key, host, "enrolled", now):
            raise Problem("key", "a log id is never given to a second key")
        for each in older:
            if not add_key(connection, each, host, "history", now):
                raise Problem("key", "a log id is never given to a second key")
        return known is None


def _no_token() -> Problem:
    return Problem("token", "ask the operator for a new one", headers={"WWW-Authenticate": "Bearer"})


def _key(text: str) -> PublicKey:
    try:
        return PublicKey.from_spki(strict_base64.decode(text, "key"))
    except FormatError as error:
        raise Problem("malformed", f"{error}") from None


def older_keys(rotations: tuple[Rotation, ...], newest: PublicKey) -> list[PublicKey]:
    """Return the keys before `newest`, each of which handed over to the next with both signatures. Raises: Problem."""
    keys = [_key(each.key) for each in rotations]
    for rotation, old, new in zip(rotations, keys, [*keys[1:], newest], strict=False):
        found = ORIGIN.match(rotation.origin)
        if found is None or found[1] != old.id16:
            raise Problem("malformed", "rotations: expected the origin of its key, found another")
        try:
            envelope = dsse.decode(rotation.envelope.encode(), "rotations")
            dsse.verify(envelope, [old, new], threshold=2, where="rotations")
            statement = parse(envelope.payload, "rotations")
        except EvidenceError as error:
            raise Problem("proof", f"{error}") from None
        if statement.predicate.log.origin != rotation.origin or named_key(statement) != new:
            raise Problem("proof", "rotations: expected an entry that names the next key, found another")
    return keys


def named_key(statement: Any) -> PublicKey | None:
    """Return the key that a `key-rotated` event names, None if the statement is another."""
    if not isinstance(statement, Event) or statement.kind != "key-rotated":
        return None
    key = statement.predicate.event.get("key")
    try:
        return PublicKey.from_spki(strict_base64.decode(key, "key")) if isinstance(key, str) else None
    except FormatError:
        return None
