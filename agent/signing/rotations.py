"""How a host came to its key: the last entry of each log that a rotation closed, for a hub that knows none of them."""

from __future__ import annotations

import msgspec

from agent.signing.protocol import Rotation
from evidence import strict_base64
from evidence.errors import EvidenceError
from evidence.order import id_of
from evidence.reader import LogInfo, StoreReader

_MOST = 64
_ROOM = 48 << 10
"""Bytes: a hub takes an enrolment of 64 KiB."""
_ROTATED = "key-rotated"


def rotations_of(state: str) -> tuple[Rotation, ...]:
    """Return the rotations that lead to the key that signs now, oldest first; none where they cannot be read.

    Each log that ends with a rotation is followed by a log of the next key; the chain is unbroken up to the newest,
    and as long as an enrolment may be.
    """
    found: list[Rotation] = []
    room = _ROOM
    try:
        with StoreReader(state) as reader:
            logs = reader.logs()
            known = {each.keyid for each in logs[-1:]}
            for log in reversed(logs[:-1]):
                if log.keyid in known:
                    continue  # an earlier log of a key that is known by a later one
                rotation = _rotation(reader, log)
                if rotation is None or len(found) == _MOST:
                    break
                room -= len(msgspec.json.encode(rotation))
                if room < 0:
                    break
                found.insert(0, rotation)
                known.add(log.keyid)
    except (EvidenceError, OSError):
        return ()  # older logs wait then, and the hub says for what
    return tuple(found)


def _rotation(reader: StoreReader, log: LogInfo) -> Rotation | None:
    if not log.size:
        return None
    last = reader.entry(log.id, log.size - 1)
    event = getattr(getattr(last.statement, "predicate", None), "event", None)
    if last.envelope is None or not isinstance(event, dict) or event.get("kind") != _ROTATED:
        return None
    key = reader.public_key(id_of(log.origin))
    return Rotation(envelope=last.envelope.decode("ascii"), key=strict_base64.encode(key.spki), origin=log.origin)
