"""The fuzz targets of this room for a short while: random bytes, and good input with pieces cut and changed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import dsse, statement
from tests.evidence.known import AGENT, NOTE
from tests.evidence.statements import context, users
from tests.fuzz import fuzz_batch, fuzz_envelope, fuzz_note, fuzz_restricted_json

PAYLOAD = statement.snapshot([users()], context())
ENVELOPE = dsse.sign(PAYLOAD, [AGENT]).encode()


def damaged(good: bytes) -> st.SearchStrategy[bytes]:
    """Return a piece of good input, then anything, then another piece."""
    place = st.integers(0, len(good))
    return st.builds(lambda a, middle, b: good[:a] + middle + good[b:], place, st.binary(max_size=8), place)


@given(st.binary(max_size=300) | damaged(PAYLOAD))
def test_restricted_json(data: bytes) -> None:
    fuzz_restricted_json.target(data)


@given(st.binary(max_size=300) | damaged(NOTE))
def test_notes(data: bytes) -> None:
    fuzz_note.target(data)


@given(st.binary(max_size=300) | damaged(ENVELOPE) | damaged(PAYLOAD))
def test_envelopes_and_statements(data: bytes) -> None:
    fuzz_envelope.target(data)


@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_batches(data: bytes) -> None:
    fuzz_batch.target(data)
