"""DSSE: the specification's vector, and envelopes as attackers write them (faults.md, V12)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import dsse
from evidence.errors import EvidenceError, FormatError, SignatureError
from tests.evidence.known import AGENT, OTHER, WITNESS, flipped

PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'
SIGNED = dsse.sign(PAYLOAD, [AGENT])
VALUE: dict[str, Any] = json.loads(SIGNED.encode())


def written(**changes: Any) -> bytes:
    return json.dumps(VALUE | changes).encode()


def test_the_vector_of_the_specification_is_reproduced() -> None:
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_lengths_are_counted_in_bytes() -> None:
    assert dsse.pae("é", "é".encode()) == "DSSEv1 2 é 2 é".encode()


@given(st.tuples(st.text(), st.binary()), st.tuples(st.text(), st.binary()))
def test_two_inputs_never_meet(first: tuple[str, bytes], second: tuple[str, bytes]) -> None:
    try:
        same = dsse.pae(*first) == dsse.pae(*second)
    except UnicodeEncodeError:
        return
    assert same == (first == second)


def test_the_encoding_is_the_documented_line() -> None:
    signature = base64.b64encode(AGENT.sign(dsse.pae(dsse.IN_TOTO, PAYLOAD))).decode()
    assert SIGNED.encode().decode() == (
        f'{{"payload":"{base64.b64encode(PAYLOAD).decode()}","payloadType":"application/vnd.in-toto+json",'
        f'"signatures":[{{"keyid":"SHA256:lbmsoA0yIEcEiVDRnMWuzm+nV+3ZEEpVIURqFoeSspg","sig":"{signature}"}}]}}'
    )
    assert dsse.decode(SIGNED.encode()) == SIGNED


def test_two_keys_sign_in_their_order() -> None:
    both = dsse.decode(dsse.sign(PAYLOAD, [OTHER, AGENT]).encode())
    assert [each.keyid for each in both.signatures] == [OTHER.public.fingerprint, AGENT.public.fingerprint]
    assert dsse.verify(both, [AGENT.public, OTHER.public], threshold=2) == (AGENT.public, OTHER.public)
    assert dsse.verify(both, [AGENT.public]) == (AGENT.public,)


def test_one_key_that_signs_twice_counts_once() -> None:
    twice = dsse.sign(PAYLOAD, [AGENT, AGENT])
    with pytest.raises(SignatureError, match="signatures of 2 known keys, found 1"):
        dsse.verify(twice, [AGENT.public, AGENT.public], threshold=2)


def test_a_key_id_is_a_hint_that_decides_nothing() -> None:
    lying = dsse.decode(written(signatures=[VALUE["signatures"][0] | {"keyid": OTHER.public.fingerprint}]))
    assert dsse.verify(lying, [AGENT.public, OTHER.public]) == (AGENT.public,)
    with pytest.raises(SignatureError):
        dsse.verify(lying, [OTHER.public])
    assert dsse.verify(dsse.decode(written(signatures=[{"sig": VALUE["signatures"][0]["sig"]}])), [AGENT.public])


def test_a_changed_payload_type_or_signature_is_refused() -> None:
    good = SIGNED.signatures[0]
    for envelope in (
        dsse.Envelope(flipped(PAYLOAD), dsse.IN_TOTO, SIGNED.signatures),
        dsse.Envelope(PAYLOAD, "application/json", SIGNED.signatures),
        dsse.Envelope(PAYLOAD, dsse.IN_TOTO, (dsse.Signature(good.keyid, flipped(good.sig)),)),
        dsse.sign(PAYLOAD, [WITNESS]),
    ):
        with pytest.raises(SignatureError):
            dsse.verify(envelope, [AGENT.public])


def test_a_signature_over_the_bare_payload_is_not_one_over_the_envelope() -> None:
    bare = dsse.Envelope(PAYLOAD, dsse.IN_TOTO, (dsse.Signature("", AGENT.sign(PAYLOAD)),))
    with pytest.raises(SignatureError):
        dsse.verify(bare, [AGENT.public])


def test_fields_that_the_specification_does_not_know_are_passed_over() -> None:
    assert dsse.decode(written(extra=1)) == SIGNED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b'{"payload":"","payload":""}',
        written(payload=None),
        written(payload=5),
        written(payload="e30"),
        written(payload="--__"),
        written(payload="e31="),
        written(payload="e30=\n"),
        written(payloadType=None),
        written(signatures=[]),
        written(signatures={}),
        written(signatures=[5]),
        written(signatures=[{}]),
        written(signatures=[{"sig": 5}]),
        written(signatures=[{"sig": "AAAA", "keyid": None}]),
        written(signatures=VALUE["signatures"] * 17),
    ],
)
def test_an_envelope_in_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        dsse.decode(data)


@given(st.binary(max_size=200) | st.text().map(lambda text: written(payload=text)))
def test_any_bytes_are_an_envelope_or_our_error(data: bytes) -> None:
    try:
        envelope = dsse.decode(data)
    except EvidenceError:
        return
    assert dsse.decode(envelope.encode()) == envelope
