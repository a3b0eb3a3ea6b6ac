"""Keys: the published texts, RFC 8032, and what strict verification refuses."""

from __future__ import annotations

import pickle

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from evidence.errors import EvidenceError, FormatError, SignatureError
from evidence.keys import NOTE_COSIGNATURE, PrivateKey, PublicKey, card
from tests.evidence.known import AGENT, ORIGIN, WITNESS, flipped

# RFC 8032, section 7.1: seed, public key, message, signature.
RFC_8032 = {
    "TEST 1": (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    "TEST 2": (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    "TEST 3": (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    "TEST SHA(abc)": (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
            "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"
        ),
    ),
}
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493

# Points that a lenient library takes as keys: of small order, or with y not below the field's prime.
UNUSABLE_POINTS = {
    "the neutral element": "0100000000000000000000000000000000000000000000000000000000000000",
    "order 2": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "order 4": "0000000000000000000000000000000000000000000000000000000000000000",
    "order 8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "not canonical": "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "no point": "0200000000000000000000000000000000000000000000000000000000000000",
}


@pytest.mark.parametrize("vector", RFC_8032.values(), ids=RFC_8032.keys())
def test_the_vectors_of_rfc_8032_are_reproduced(vector: tuple[str, str, str, str]) -> None:
    seed, public, message, signature = (bytes.fromhex(each) for each in vector)
    key = PrivateKey(seed)
    assert key.public.raw == public
    assert key.sign(message) == signature
    assert key.public.verifies(signature, message)
    assert not key.public.verifies(flipped(signature), message)
    assert not key.public.verifies(signature, message + b"x")


def test_the_published_texts_of_the_vector_key_are_reproduced() -> None:
    key = AGENT.public
    assert key.raw.hex() == "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    assert key.fingerprint == "SHA256:lbmsoA0yIEcEiVDRnMWuzm+nV+3ZEEpVIURqFoeSspg"
    assert key.vkey(ORIGIN) == f"{ORIGIN}+f272aa42+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
    assert WITNESS.public.vkey("hub.example/w1", NOTE_COSIGNATURE) == (
        "hub.example/w1+d7340f75+BOc06mwrYlfecjVeRyqgWkxIfmtGPAKe0wbfLwG1Y2tY"
    )


def test_the_card_holds_each_text_an_auditor_may_compare() -> None:
    found = card(AGENT.public, ORIGIN, 2)
    assert found.number == 2
    assert found.hex == AGENT.public.raw.hex()
    assert PublicKey.from_openssh(found.openssh) == PublicKey.from_pem(found.pem) == AGENT.public
    assert found.fingerprint == AGENT.public.fingerprint
    assert found.vkey == AGENT.public.vkey(ORIGIN)


def test_our_texts_are_those_of_cryptography() -> None:
    theirs = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    pkcs8 = theirs.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = theirs.public_key()
    spki = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    line = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert AGENT.pkcs8_pem().encode() == pkcs8
    assert AGENT.public.pem().encode() == spki
    assert AGENT.public.openssh("c").encode() == line + b" c\n"


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_cryptography_and_we_sign_alike(seed: bytes, message: bytes) -> None:
    ours = PrivateKey(seed)
    assert ours.sign(message) == Ed25519PrivateKey.from_private_bytes(seed).sign(message)
    Ed25519PublicKey.from_public_bytes(ours.public.raw).verify(ours.sign(message), message)
    assert PrivateKey.from_pkcs8_pem(ours.pkcs8_pem()) == ours
    assert PublicKey.from_spki(ours.public.spki) == ours.public


@pytest.mark.parametrize("point", UNUSABLE_POINTS.values(), ids=UNUSABLE_POINTS.keys())
def test_a_point_that_libraries_disagree_on_is_not_a_key(point: str) -> None:
    with pytest.raises(FormatError):
        PublicKey(bytes.fromhex(point))


def test_a_signature_with_s_past_the_group_order_is_refused() -> None:
    signature = AGENT.sign(b"message")
    s = int.from_bytes(signature[32:], "little") + GROUP_ORDER
    assert not AGENT.public.verifies(signature[:32] + s.to_bytes(32, "little"), b"message")


@pytest.mark.parametrize("signature", [b"", b"x" * 63, b"x" * 65, b"\0" * 64])
def test_a_signature_of_another_length_is_refused(signature: bytes) -> None:
    assert not AGENT.public.verifies(signature, b"message")
    with pytest.raises(SignatureError, match=r"note: expected a signature of SHA256:lbms"):
        AGENT.public.check(signature, b"message", "note")


def test_a_private_key_never_shows_itself() -> None:
    secret = bytes(range(32))
    assert repr(AGENT) == f"PrivateKey({AGENT.public.fingerprint})"
    with pytest.raises(TypeError):
        pickle.dumps(AGENT)
    assert secret.hex() not in repr(vars(AGENT))


@given(st.text(max_size=300) | st.binary(max_size=100).map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_key_or_our_error(text: str) -> None:
    for parse in (PublicKey.from_pem, PublicKey.from_openssh, PrivateKey.from_pkcs8_pem):
        try:
            parse(text)
        except EvidenceError:
            continue
        raise AssertionError("a key out of nothing")


@pytest.mark.parametrize(
    "line",
    [
        "ssh-rsa AAAA",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        'command="x" ' + AGENT.public.openssh(),
        AGENT.public.openssh().replace("AAAAC3", "AAAAC4", 1),
    ],
)
def test_a_line_that_is_not_a_bare_ed25519_key_is_refused(line: str) -> None:
    with pytest.raises(FormatError):
        PublicKey.from_openssh(line)
