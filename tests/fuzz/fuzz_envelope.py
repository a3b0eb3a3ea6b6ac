"""Any bytes as a DSSE envelope and as the statement in one: read alike again, or our error."""

from __future__ import annotations

from evidence import dsse, restricted_json, statement
from evidence.errors import EvidenceError
from evidence.keys import PrivateKey

SIGNER = PrivateKey(b"\x99" * 32)


def target(data: bytes) -> None:
    """Read the bytes as both; nobody signed them, so nothing may verify."""
    try:
        envelope = dsse.decode(data)
    except EvidenceError:
        _statement(data)
        return
    if dsse.decode(envelope.encode()) != envelope:
        raise AssertionError("expected an envelope to be read alike again")
    try:
        dsse.verify(envelope, [SIGNER.public])
    except EvidenceError:
        _statement(envelope.payload)
        return
    raise AssertionError("expected no signature to verify: the key signs nothing here")


def _statement(data: bytes) -> None:
    try:
        found = statement.parse(data)
    except EvidenceError:
        return
    found.digests()
    if statement.parse(restricted_json.encode(found)) != found:
        raise AssertionError("expected a statement to be read alike again")
