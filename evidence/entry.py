"""One entry read back from a frame: its payload, its leaf, and the row that the index keeps of it.

What is read here was written by us and is vouched for by the hash of its frame, so it is decoded fast; what comes
from anyone else goes through `evidence.dsse` and `evidence.predicates`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from evidence.errors import DamageError
from evidence.index import Row, pack
from evidence.predicates import Event, Statement
from evidence.segment import Frame
from evidence.tree import leaf_hash

SNAPSHOT = "snapshot"
LOST = "lost"


class _Envelope(msgspec.Struct):
    payload: bytes


# Only what a row keeps: ten thousand statements are read at an opening without the index, each of 60 KiB at most.
class _Clock(msgspec.Struct, gc=False):
    wall: str


class _Host(msgspec.Struct, gc=False):
    name: str
    observed: str


class _Kind(msgspec.Struct, gc=False):
    kind: str


class _Table(msgspec.Struct, gc=False):
    name: str
    header: str | None


class _Predicate(msgspec.Struct, gc=False):
    clock: _Clock
    host: _Host
    event: _Kind | None = None
    tables: tuple[_Table, ...] = ()


class _Digest(msgspec.Struct, gc=False):
    sha256: str


class _Subject(msgspec.Struct, gc=False):
    name: str
    digest: _Digest


class _Brief(msgspec.Struct, gc=False):
    subject: tuple[_Subject, ...]
    predicate: _Predicate


_envelope = msgspec.json.Decoder(_Envelope)
_statement = msgspec.json.Decoder(Statement)
_brief = msgspec.json.Decoder(_Brief)


def payload_of(body: bytes) -> bytes:
    """Return the payload in an envelope. Raises: DamageError."""
    try:
        return _envelope.decode(body).payload
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DamageError("segment", "an envelope in its frame", "other bytes") from None


def statement_of(payload: bytes) -> Statement:
    """Return the statement in a payload. Raises: DamageError."""
    try:
        result: Statement = _statement.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DamageError("segment", "a statement of format 1", "another payload") from None
    return result


def leaf_of(frame: Frame) -> bytes:
    """Return the leaf hash of a frame, also of one that stands for a lost entry. Raises: DamageError."""
    return frame.lost_leaf or leaf_hash(payload_of(frame.body))


def row_of(frame: Frame, segment: int) -> Row:
    """Return what the index keeps of the entry in a frame. Raises: DamageError."""
    place = (segment, frame.offset, frame.length)
    if frame.lost_leaf is not None:
        return Row(*place, frame.lost_leaf, "", LOST, "", pack({}))
    payload = payload_of(frame.body)
    try:
        brief = _brief.decode(payload)
        names = pack(_names_in(brief))
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise DamageError("segment", "a statement of format 1", "another payload") from None
    predicate = brief.predicate
    kind = SNAPSHOT if predicate.event is None else predicate.event.kind
    host = f"{predicate.host.observed}:{predicate.host.name}"
    return Row(*place, leaf_hash(payload), predicate.clock.wall, kind, host, names)


def kind_of(statement: Statement) -> str:
    """Return `snapshot`, or what kind of event it is."""
    return statement.kind if isinstance(statement, Event) else SNAPSHOT


def _names_in(brief: _Brief) -> dict[str, Iterable[str]]:
    """Return the blobs a statement names, by table, or by subject for an event."""
    subjects = {each.name: each.digest.sha256 for each in brief.subject}
    if brief.predicate.event is not None:
        return {name: (digest,) for name, digest in subjects.items()}
    return {each.name: _digests(each.name, each.header, subjects) for each in brief.predicate.tables}


def _digests(table: str, header: str | None, subjects: dict[str, str]) -> list[str]:
    found = (subjects.get(table), subjects.get(f"{table}.gaps"), header)
    return [each for each in found if each is not None]
