"""SSHSIG: what differs in one byte is refused; that ssh-keygen agrees is in test_foreign_verifiers.py."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import sshsig
from evidence.errors import EvidenceError, FormatError, SignatureError
from tests.evidence.known import AGENT, OTHER, TEXT, flipped

MESSAGE = TEXT.encode()
ARMOURED = sshsig.sign(MESSAGE, AGENT)


def test_what_is_signed_verifies() -> None:
    sshsig.verify(ARMOURED, MESSAGE, AGENT.public)
    assert all(len(line) <= 70 for line in ARMOURED.split("\n"))


def test_another_message_key_or_namespace_is_refused() -> None:
    for armoured, message, key, namespace in (
        (ARMOURED, MESSAGE + b"x", AGENT.public, sshsig.NAMESPACE),
        (ARMOURED, MESSAGE, OTHER.public, sshsig.NAMESPACE),
        (ARMOURED, MESSAGE, AGENT.public, "file"),
        (sshsig.sign(MESSAGE, AGENT, "file"), MESSAGE, AGENT.public, sshsig.NAMESPACE),
    ):
        with pytest.raises(SignatureError):
            sshsig.verify(armoured, message, key, namespace)


def test_every_changed_byte_of_the_blob_is_noticed() -> None:
    lines = ARMOURED.split("\n")
    blob = base64.b64decode("".join(lines[1:-2]))
    for place in range(len(blob)):
        text = base64.b64encode(flipped(blob, place)).decode()
        with pytest.raises(SignatureError):
            sshsig.verify(f"{lines[0]}\n{text}\n{lines[-2]}\n", MESSAGE, AGENT.public)


@pytest.mark.parametrize("text", ["", "-----BEGIN SSH SIGNATURE-----\n", ARMOURED * 2, ARMOURED[:-40], "x" + ARMOURED])
def test_another_armour_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        sshsig.verify(text, MESSAGE, AGENT.public)


@given(st.text(max_size=200))
def test_any_text_is_our_error(text: str) -> None:
    with pytest.raises(EvidenceError):
        sshsig.verify(text, MESSAGE, AGENT.public)
