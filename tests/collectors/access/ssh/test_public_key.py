from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.access.ssh import wire
from collectors.access.ssh.public_key import PublicKey, fingerprint, parse_public_key
from collectors.contract import MalformedError
from tests.collectors.access.ssh.keygen import KINDS, certified, listed, made, on_token

ED25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"


def encoded(*fields: bytes) -> str:
    return base64.b64encode(b"".join(wire.text(each) for each in fields)).decode()


def parsed(line: str) -> PublicKey:
    return parse_public_key(*line.split()[:2])


def test_a_known_key_has_the_fingerprint_of_the_published_vector() -> None:
    key = parse_public_key("ssh-ed25519", ED25519)
    assert key == PublicKey("ssh-ed25519", 256, "SHA256:lbmsoA0yIEcEiVDRnMWuzm+nV+3ZEEpVIURqFoeSspg")


@pytest.mark.needs_program("ssh-keygen")
@pytest.mark.parametrize(("kind", "bits"), KINDS)
def test_type_size_and_fingerprint_are_those_of_ssh_keygen(tmp_path: Path, kind: str, bits: int) -> None:
    public = made(tmp_path, kind, bits)
    (said,) = listed(public)
    key = parsed(public.read_text())
    assert (key.bits, key.fingerprint) == (said.bits, said.fingerprint)
    assert kind in key.type
    assert not key.certificate


@pytest.mark.needs_program("ssh-keygen")
@pytest.mark.parametrize(("kind", "bits"), [("ecdsa", 256), ("ed25519", 256)])
def test_a_key_on_a_token_is_listed_as_ssh_keygen_lists_it(tmp_path: Path, kind: str, bits: int) -> None:
    public = made(tmp_path, kind, bits)
    public.write_text(on_token(public.read_text()))
    (said,) = listed(public)
    key = parsed(public.read_text())
    assert (key.bits, key.fingerprint, said.kind) == (said.bits, said.fingerprint, f"{kind.upper()}-SK")


@pytest.mark.needs_program("ssh-keygen")
@pytest.mark.parametrize(("kind", "bits"), [*KINDS[1:], ("token", 256)])
def test_a_certificate_has_the_fingerprint_of_its_plain_key_and_names_its_signer(
    tmp_path: Path, kind: str, bits: int
) -> None:
    (tmp_path / "authority").mkdir()
    authority = made(tmp_path / "authority", "ed25519", 256)
    public = made(tmp_path, "ed25519" if kind == "token" else kind, bits)
    if kind == "token":
        public.write_text(on_token(public.read_text()))
    certificate = certified(authority, public)
    (said,) = listed(certificate)
    key = parsed(certificate.read_text())
    assert (key.bits, key.fingerprint) == (said.bits, said.fingerprint)
    assert key.fingerprint == parsed(public.read_text()).fingerprint
    assert key.certificate
    assert key.ca_fingerprint == parsed(authority.read_text()).fingerprint


def test_a_type_of_tomorrow_is_kept_with_its_fingerprint_and_without_a_size() -> None:
    text = encoded(b"ssh-mldsa44@example.org", b"\x01" * 40)
    key = parse_public_key("ssh-mldsa44@example.org", text)
    assert key == PublicKey("ssh-mldsa44@example.org", None, fingerprint(base64.b64decode(text)))


RSA_FIELDS = (b"ssh-rsa", b"\x01\x00\x01", b"\x00" + b"\xff" * 256)
HOSTILE = {
    "nothing": "",
    "no base64": "!!!!",
    "padding missing": ED25519[:-1],
    "bits after the end": base64.b64encode(base64.b64decode(ED25519)[:-1]).decode()[:-2] + "9=",
    "another type inside": encoded(b"ssh-rsa", b"\x01" * 32),
    "a length beyond the end": base64.b64encode(b"\xff\xff\xff\xff" + b"ssh-ed25519").decode(),
    "a short key": encoded(b"ssh-ed25519", b"\x01" * 31),
    "bytes left over": encoded(b"ssh-ed25519", b"\x01" * 32, b""),
    "a length cut in two": base64.b64encode(wire.text(b"ssh-ed25519") + b"\0\0").decode(),
    "letters that are not ASCII": "ÄÖÜ=",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_blob_that_lies_is_malformed(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_public_key("ssh-ed25519", text)


def test_a_negative_or_endless_modulus_is_malformed() -> None:
    for modulus in (b"\xff" * 256, b"\x01" * 2049):
        with pytest.raises(MalformedError):
            parse_public_key("ssh-rsa", encoded(b"ssh-rsa", b"\x01\x00\x01", modulus))


def test_leading_zeros_add_no_bits() -> None:
    assert parse_public_key("ssh-rsa", encoded(*RSA_FIELDS)).bits == 2048


def test_a_point_of_another_curve_or_form_is_malformed() -> None:
    for curve, point in ((b"nistp384", b"\x04" + b"\x01" * 64), (b"nistp256", b"\x02" + b"\x01" * 32)):
        with pytest.raises(MalformedError):
            parse_public_key("ecdsa-sha2-nistp256", encoded(b"ecdsa-sha2-nistp256", curve, point))


@given(st.binary(max_size=300))
def test_any_blob_gives_a_key_or_our_error(blob: bytes) -> None:
    text = base64.b64encode(wire.text(b"ssh-rsa") + blob).decode()
    try:
        key = parse_public_key("ssh-rsa", text)
    except MalformedError:
        return
    assert key.bits is not None


@given(st.text(max_size=60), st.text(max_size=200))
def test_any_text_gives_a_key_or_our_error(name: str, text: str) -> None:
    try:
        parse_public_key(name, text)
    except MalformedError:
        return
