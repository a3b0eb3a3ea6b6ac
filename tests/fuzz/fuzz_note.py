"""Any bytes as a signed note: its own bytes again, never a signature of a key that did not sign, or our error."""

from __future__ import annotations

from evidence import note
from evidence.errors import EvidenceError
from evidence.keys import NOTE_COSIGNATURE, PrivateKey
from evidence.note import Checkpoint, Verifier

SIGNER = PrivateKey(bytes(range(32)))
VERIFIERS = [Verifier("log", SIGNER.public), Verifier("log", SIGNER.public, NOTE_COSIGNATURE)]
SIGNED = "log\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"


def target(data: bytes) -> None:
    """Parse and verify; the only text that was ever signed is the only one that may verify."""
    try:
        found = note.parse(data)
    except EvidenceError:
        return
    if found.encode() != data:
        raise AssertionError("expected a note to have one encoding")
    try:
        Checkpoint.parse(found.text)
        note.verify(found, VERIFIERS)
    except EvidenceError:
        return
    if found.text != SIGNED:
        raise AssertionError("expected no signature to fit a text that was never signed")
