"""What we sign, checked by programs that share no code with us; each must also refuse its mutated twin."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key

from evidence import dsse, sshsig, statement, tree
from evidence.keys import PublicKey
from tests.evidence.foreign_verdicts import (
    in_toto_accepts,
    minisign_accepts,
    openssl_accepts,
    securesystemslib_accepts,
    signify_accepts,
    ssh_keygen_accepts,
)
from tests.evidence.known import AGENT, LEAVES, NOTE, ORIGIN, OTHER, ROOT, TEXT, flipped, run
from tests.evidence.statements import context, users

SIGNATURE = AGENT.sign(TEXT.encode())
PAYLOAD = statement.snapshot([users()], context())

# What may be wrong: the text, the signature, or the key that was given to the auditor.
TWINS = {
    "another text": (flipped(TEXT.encode(), 30), SIGNATURE, AGENT.public),
    "another signature": (TEXT.encode(), flipped(SIGNATURE, 5), AGENT.public),
    "a longer text": (TEXT.encode() + b"\n", SIGNATURE, AGENT.public),
    "another key": (TEXT.encode(), SIGNATURE, OTHER.public),
}
twins = pytest.mark.parametrize(("text", "signature", "key"), TWINS.values(), ids=TWINS.keys())


@pytest.mark.needs_program("openssl")
def test_openssl_accepts_the_checkpoint(tmp_path: Path) -> None:
    assert openssl_accepts(tmp_path, TEXT.encode(), SIGNATURE, AGENT.public.pem())


@pytest.mark.needs_program("openssl")
@twins
def test_openssl_refuses_the_twin(tmp_path: Path, text: bytes, signature: bytes, key: PublicKey) -> None:
    assert not openssl_accepts(tmp_path, text, signature, key.pem())


@pytest.mark.needs_program("ssh-keygen")
def test_ssh_keygen_accepts_the_checkpoint(tmp_path: Path) -> None:
    armoured = sshsig.sign(TEXT.encode(), AGENT)
    assert ssh_keygen_accepts(tmp_path, TEXT.encode(), armoured, AGENT.public.openssh())


@pytest.mark.needs_program("ssh-keygen")
def test_ssh_keygen_refuses_the_twins(tmp_path: Path) -> None:
    armoured, line = sshsig.sign(TEXT.encode(), AGENT), AGENT.public.openssh()
    assert not ssh_keygen_accepts(tmp_path, flipped(TEXT.encode()), armoured, line)
    assert not ssh_keygen_accepts(tmp_path, TEXT.encode(), armoured, OTHER.public.openssh())
    assert not ssh_keygen_accepts(tmp_path, TEXT.encode(), armoured, line, "file")
    assert not ssh_keygen_accepts(tmp_path, TEXT.encode(), sshsig.sign(TEXT.encode(), OTHER), line)


@pytest.mark.needs_program("ssh-keygen")
def test_ssh_keygen_signs_what_we_verify_to_the_byte(tmp_path: Path) -> None:
    key = tmp_path / "key"
    assert run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)).returncode == 0
    (tmp_path / "text").write_text(TEXT)
    command = f"-Y sign -f {key} -n {sshsig.NAMESPACE} {tmp_path / 'text'}"
    assert run("ssh-keygen", *command.split()).returncode == 0
    public = PublicKey.from_openssh((tmp_path / "key.pub").read_text())
    sshsig.verify((tmp_path / "text.sig").read_text(), TEXT.encode(), public)


@pytest.mark.needs_program("signify-openbsd")
def test_signify_accepts_the_checkpoint(tmp_path: Path) -> None:
    assert signify_accepts(tmp_path, TEXT.encode(), SIGNATURE, AGENT.public.raw)


@pytest.mark.needs_program("signify-openbsd")
@twins
def test_signify_refuses_the_twin(tmp_path: Path, text: bytes, signature: bytes, key: PublicKey) -> None:
    assert not signify_accepts(tmp_path, text, signature, key.raw)


@pytest.mark.needs_program("minisign")
def test_minisign_accepts_the_checkpoint(tmp_path: Path) -> None:
    assert minisign_accepts(tmp_path, TEXT.encode(), SIGNATURE, AGENT.sign(SIGNATURE), AGENT.public.raw)


@pytest.mark.needs_program("minisign")
@twins
def test_minisign_refuses_the_twin(tmp_path: Path, text: bytes, signature: bytes, key: PublicKey) -> None:
    assert not minisign_accepts(tmp_path, text, signature, AGENT.sign(signature), key.raw)


def test_cryptography_accepts_the_checkpoint_with_either_text_of_the_key() -> None:
    for key in (
        load_pem_public_key(AGENT.public.pem().encode()),
        load_ssh_public_key(AGENT.public.openssh().encode()),
    ):
        assert isinstance(key, Ed25519PublicKey)
        key.verify(SIGNATURE, TEXT.encode())


@twins
def test_cryptography_refuses_the_twin(text: bytes, signature: bytes, key: PublicKey) -> None:
    theirs = load_pem_public_key(key.pem().encode())
    assert isinstance(theirs, Ed25519PublicKey)
    with pytest.raises(InvalidSignature):
        theirs.verify(signature, text)


def go_request() -> dict[str, Any]:
    leaves = [tree.leaf_hash(each) for each in LEAVES]
    return {
        "Vkey": AGENT.public.vkey(ORIGIN),
        "Note": NOTE,
        "Text": TEXT,
        "Size": 7,
        "Root": ROOT,
        "Index": 3,
        "Record": LEAVES[3],
        "Inclusion": tree.inclusion_proof(leaves, 3),
        "OldSize": 4,
        "OldRoot": tree.root(leaves[:4]),
        "Consistency": tree.consistency_proof(leaves, 4),
    }


@pytest.mark.needs_program("go")
def test_go_accepts_the_note_and_the_proofs(go_accepts: Callable[[dict[str, Any]], bool]) -> None:
    assert go_accepts(go_request())


@pytest.mark.needs_program("go")
def test_go_accepts_the_proofs_of_every_small_tree(go_accepts: Callable[[dict[str, Any]], bool]) -> None:
    leaves = [tree.leaf_hash(each) for each in LEAVES]
    for size in range(1, 8):
        for index in range(size):
            request = go_request() | {
                "Size": size,
                "Root": tree.root(leaves[:size]),
                "Index": index,
                "Record": LEAVES[index],
                "Inclusion": tree.inclusion_proof(leaves[:size], index),
                "OldSize": index + 1,
                "OldRoot": tree.root(leaves[: index + 1]),
                "Consistency": tree.consistency_proof(leaves[:size], index + 1),
            }
            assert go_accepts(request), (size, index)


@pytest.mark.needs_program("go")
@pytest.mark.parametrize(
    "change",
    [
        {"Vkey": OTHER.public.vkey(ORIGIN)},
        {"Note": flipped(NOTE, 30)},
        {"Note": flipped(NOTE, NOTE.index(b"8nKqQp") + 20)},
        {"Text": TEXT + "\n"},
        {"Index": 2},
        {"Record": b"leaf-4"},
        {"Root": flipped(ROOT)},
        {"Inclusion": []},
        {"OldSize": 3},
        {"OldRoot": flipped(ROOT)},
        {"Consistency": [ROOT]},
    ],
    ids=str,
)
def test_go_refuses_the_twin(go_accepts: Callable[[dict[str, Any]], bool], change: dict[str, Any]) -> None:
    assert not go_accepts(go_request() | change)


def test_securesystemslib_accepts_the_envelope_and_refuses_its_twins() -> None:
    good = json.loads(dsse.sign(PAYLOAD, [AGENT]).encode())
    keyid = AGENT.public.fingerprint
    assert securesystemslib_accepts(good, AGENT.public.raw, keyid)
    assert not securesystemslib_accepts(good, OTHER.public.raw, keyid)
    for name, value in (
        ("payload", base64.b64encode(flipped(PAYLOAD, 100)).decode()),
        ("payloadType", "application/json"),
        ("signatures", json.loads(dsse.sign(PAYLOAD + b" ", [AGENT]).encode())["signatures"]),
    ):
        assert not securesystemslib_accepts(good | {name: value}, AGENT.public.raw, keyid)


def test_in_toto_accepts_both_kinds_of_statement() -> None:
    assert in_toto_accepts(PAYLOAD)
    details = statement.event_details({"previous": None})
    assert in_toto_accepts(statement.event("log-opened", {"previous": None, "why": "first"}, details, context()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Statement/v1", b"Statement/v0"),
        (b'"predicateType":"urn:evidenced:snapshot:v1"', b'"predicateType":""'),
        (b'"digest":{"sha256":"' + statement.digest(b"").encode() + b'"}', b'"digest":{}'),
        (b'"subject":', b'"subjects":'),
        (b'{"_type"', b'{"_kind"'),
        (b'"predicate":', b'"predicate":null,"x":'),
    ],
)
def test_in_toto_refuses_the_twin(old: bytes, new: bytes) -> None:
    assert old in PAYLOAD
    assert not in_toto_accepts(PAYLOAD.replace(old, new))
