"""Strict Ed25519: the published vectors, and every oddity on which libraries disagree (V6).

The oddities are the classes of "Taming the many EdDSAs" (eprint 2020/1244) and of Wycheproof, made here from their
definitions: with a scalar that is known, any of them can be signed. What the script accepts, OpenSSL must accept.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import verify
from evidence.verify import BASE, SMALL_ORDER_Y, Key, L, P, add, cached

Point = tuple[int, int, int, int]

RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0"
            "595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eae"
            "b4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9"
            "716ed28dc027beceea1ec40a"
        ),
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c"
            "138ac17ad9bef1177331a704"
        ),
    ),
]


def strict(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return the script's verdict, which must be the same bit by bit and from tables."""
    try:
        key = Key(public)
    except ValueError:
        return False
    verdict = key.signed(message, signature)
    key.checked = verify.TABLES_FROM
    assert key.signed(message, signature) == verdict
    return verdict


def openssl(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.mark.parametrize("vector", RFC_8032, ids=["empty", "one byte", "two bytes", "sha-512 of abc"])
def test_the_vectors_of_rfc_8032_hold(vector: tuple[str, str, str, str]) -> None:
    secret, public, message, signature = map(bytes.fromhex, vector)
    made = Ed25519PrivateKey.from_private_bytes(secret)
    assert made.public_key().public_bytes_raw() == public
    assert made.sign(message) == signature
    assert strict(public, message, signature)
    assert not strict(public, message + b"x", signature)


def test_every_bit_of_key_message_and_signature_counts() -> None:
    public, message, signature = (bytes.fromhex(each) for each in RFC_8032[1][1:])
    key = Key(public)
    for at in range(512):
        assert not key.signed(message, _flipped(signature, at))
    for at in range(8):
        assert not key.signed(_flipped(message, at), signature)
    for at in range(256):
        try:
            other = Key(_flipped(public, at))
        except ValueError:
            continue
        assert not other.signed(message, signature)


def _flipped(raw: bytes, bit: int) -> bytes:
    return raw[: bit // 8] + bytes([raw[bit // 8] ^ 1 << bit % 8]) + raw[bit // 8 + 1 :]


# --- points and scalars at will


def times(scalar: int, point: Point) -> Point:
    total: Point = verify.NEUTRAL
    while scalar:
        if scalar & 1:
            total = add(total, cached(point))
        point, scalar = add(point, cached(point)), scalar >> 1
    return total


def affine(point: Point) -> tuple[int, int]:
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    return x * inverse % P, y * inverse % P


def encode(point: Point) -> bytes:
    x, y = affine(point)
    return (y | (x & 1) << 255).to_bytes(32, "little")


def lift(y: int, sign: int) -> Point:
    """Return the point with this y, also one of small order."""
    x2 = (y * y - 1) * pow(verify.D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * verify.SQRT_M1 % P
    assert (x * x - x2) % P == 0
    if x % 2 != sign and x:
        x = P - x
    return x, y, 1, x * y % P


ORDER_8 = lift(verify.ORDER_8_Y, 0)
TORSION = [times(each, ORDER_8) for each in range(8)]
RANDOM = random.Random(8032)  # noqa: S311  the same oddities in each run
SECRET = RANDOM.randrange(L)
PUBLIC = times(SECRET, BASE)


def challenge(r: bytes, a: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + a + message).digest(), "little") % L


def signature(
    r_torsion: int = 0, a_torsion: int = 0, s_more: int = 0, nonce: int | None = None
) -> tuple[bytes, bytes, bytes]:
    """Return (public, message, signature) that satisfies the equation with cofactor, its points with torsion added.

    The message is searched for, so that torsion of R and of challenge·A cancel where that can be.
    """
    a = encode(add(PUBLIC, cached(TORSION[a_torsion])))
    nonce = RANDOM.randrange(L) if nonce is None else nonce
    r = encode(add(times(nonce, BASE), cached(TORSION[r_torsion])))
    message = b"message"
    s = (nonce + challenge(r, a, message) * SECRET) % L
    return a, message, r + (s + s_more).to_bytes(32, "little")


def mixed(*, cancels: bool) -> tuple[bytes, bytes, bytes]:
    """Return a signature with torsion in A and R; the equation without cofactor holds only where it cancels."""
    nonce = RANDOM.randrange(L)
    a = encode(add(PUBLIC, cached(TORSION[1])))
    for number in range(1000):
        message = b"message %d" % number
        for torsion in range(8):
            r = encode(add(times(nonce, BASE), cached(TORSION[torsion])))
            h = challenge(r, a, message)
            if ((torsion + h) % 8 == 0) == cancels and torsion:
                return a, message, r + ((nonce + h * SECRET) % L).to_bytes(32, "little")
    raise AssertionError("expected to find one within 1,000")


def with_zero_key() -> tuple[bytes, bytes, bytes]:
    """Return a signature that anyone can make for a key of order 1: R = s·B."""
    s = 7
    return encode(TORSION[0]), b"any message", encode(times(s, BASE)) + s.to_bytes(32, "little")


def with_small_key() -> tuple[bytes, bytes, bytes]:
    """Return a signature for a key of order 8 that holds for one message in eight."""
    a = encode(TORSION[1])
    for number in range(1000):
        message, r = b"any %d" % number, encode(times(9, BASE))
        if challenge(r, a, message) % 8 == 0:
            return a, message, r + (9).to_bytes(32, "little")
    raise AssertionError("expected to find one within 1,000")


def with_small_r() -> tuple[bytes, bytes, bytes]:
    """Return a signature with R of order 1, which holds: s = h·a."""
    a, r = encode(PUBLIC), encode(TORSION[0])
    return a, b"message", r + (challenge(r, a, b"message") * SECRET % L).to_bytes(32, "little")


def with_odd_r(y_more: int) -> tuple[bytes, bytes, bytes]:
    """Return a signature whose R is the neutral point in an encoding that is not canonical."""
    a, r = encode(PUBLIC), (1 + y_more).to_bytes(32, "little")
    return a, b"message", r + (challenge(r, a, b"message") * SECRET % L).to_bytes(32, "little")


ODDITIES: dict[str, tuple[Callable[[], tuple[bytes, bytes, bytes]], bool]] = {
    "an honest signature": (signature, True),
    "S past the order": (lambda: signature(s_more=L), False),
    "S far past the order": (lambda: signature(s_more=8 * L), False),
    "R with torsion, which only the cofactor forgives": (lambda: signature(r_torsion=1), False),
    "A with torsion, which only the cofactor forgives": (lambda: mixed(cancels=False), False),
    "A and R with torsion that cancels": (lambda: mixed(cancels=True), True),
    "a key of order 1": (with_zero_key, False),
    "a key of order 8": (with_small_key, False),
    "an R of order 1": (with_small_r, False),
    "an R of order 1 that is not canonical": (lambda: with_odd_r(P), False),
    "an R of order 1 with the sign bit": (lambda: with_odd_r(1 << 255), False),
    "a signature of 63 bytes": (lambda: (*signature()[:2], signature()[2][:-1]), False),
    "a signature of 65 bytes": (lambda: (*signature()[:2], signature()[2] + b"\0"), False),
    "no signature": (lambda: (*signature()[:2], b""), False),
    "zeros": (lambda: (encode(PUBLIC), b"message", bytes(64)), False),
}


@pytest.mark.parametrize("name", ODDITIES)
def test_an_oddity_is_judged_strictly_and_never_accepted_alone(name: str) -> None:
    make, expected = ODDITIES[name]
    public, message, made = make()
    assert strict(public, message, made) is expected
    assert openssl(public, message, made) or not expected


def test_the_oddities_are_odd_and_some_of_them_pass_elsewhere() -> None:
    accepted = {name for name, (make, _) in ODDITIES.items() if openssl(*make())}
    assert {"a key of order 1", "a key of order 8", "an R of order 1"} <= accepted
    assert all(times(8, each)[0] == 0 for each in TORSION)
    assert {affine(each)[1] for each in TORSION} == SMALL_ORDER_Y


KEYS: dict[str, bytes] = {
    **{f"small order {number}": encode(each) for number, each in enumerate(TORSION)},
    **{f"small order, y past p: {y}": (y + P).to_bytes(32, "little") for y in (0, 1)},
    **{f"past p: {y}": (y + P).to_bytes(32, "little") for y in range(2, 19)},
    "past p with the sign bit": (3 + P + (1 << 255)).to_bytes(32, "little"),
    "x of 0 with the sign bit": (1 + (1 << 255)).to_bytes(32, "little"),
    "not on the curve": (2).to_bytes(32, "little"),
    "31 bytes": encode(PUBLIC)[:-1],
    "33 bytes": encode(PUBLIC) + b"\0",
    "nothing": b"",
}


@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_is_odd_is_no_key(name: str) -> None:
    with pytest.raises(ValueError, match="no strict Ed25519 public key"):
        Key(KEYS[name])


def test_y_of_2_is_not_on_the_curve_and_of_3_is() -> None:
    assert verify.point_of((2).to_bytes(32, "little")) is None
    found = verify.point_of((3).to_bytes(32, "little"))
    assert found is not None
    assert found[0] % 2 == 0
    x, y = affine(found)
    assert (-x * x + y * y - 1 - verify.D * x * x * y * y) % P == 0


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.data())
def test_honest_signatures_pass_and_changed_ones_fail_as_with_openssl(
    seed: bytes, message: bytes, data: st.DataObject
) -> None:
    made = Ed25519PrivateKey.from_private_bytes(seed)
    public, honest = made.public_key().public_bytes_raw(), made.sign(message)
    key = Key(public)
    assert key.signed(message, honest)
    changed = _flipped(honest, data.draw(st.integers(0, 511)))
    assert not key.signed(message, changed)
    assert not openssl(public, message, changed)


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64))
def test_what_is_accepted_here_is_accepted_by_openssl(public: bytes, made: bytes) -> None:
    try:
        accepted = Key(public).signed(b"message", made)
    except ValueError:
        return
    assert not accepted or openssl(public, b"message", made)


EDGES = [0, 1, 511, 512, 513, 1023, 1024, 2**250 - 1, 2**252 - 1, 2**252, 2**252 + 1, L - 1, L, 2**253 - 1]
DIGITS_AT_THEIR_ENDS = [sum(digit << at for at in range(0, 250, 10)) for digit in (511, 512, 1023)]


@pytest.mark.parametrize("scalar", EDGES + DIGITS_AT_THEIR_ENDS + [RANDOM.randrange(L) for _ in range(20)])
def test_tables_give_the_multiple_that_doubling_and_adding_gives(scalar: int) -> None:
    key, other = Key(encode(PUBLIC)), RANDOM.randrange(L)
    for s, challenged in ((scalar, 0), (0, scalar), (scalar, other), (other, scalar)):
        expected = affine(add(times(s, BASE), cached(times(challenged, key.minus))))
        assert affine(key.by_tables(s, challenged)) == expected
        assert affine(key.bit_by_bit(s, challenged)) == expected


def test_each_entry_of_a_table_is_the_multiple_at_its_place() -> None:
    base = 1
    for row in verify.table_of(BASE)[:3]:
        assert len(row) == 1024
        for at in (0, 1, 511, 512, 513, 1023):
            assert affine(add(verify.NEUTRAL, row[at])) == affine(times((at - 512) * base % L, BASE))
        base *= 1024


def test_a_sum_stays_small_and_on_the_curve() -> None:
    point = PUBLIC
    for _ in range(100):
        point = add(point, cached(point))
        assert all(0 <= each < P for each in point)
        x, y = affine(point)
        assert (-x * x + y * y - 1 - verify.D * x * x * y * y) % P == 0


def test_tables_come_with_the_signature_after_the_hundredth(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []

    def noted(way: str) -> Callable[..., Point]:
        def compute(*_: object) -> Point:
            used.append(way)
            return verify.NEUTRAL

        return compute

    monkeypatch.setattr(Key, "by_tables", noted("tables"))
    monkeypatch.setattr(Key, "bit_by_bit", noted("bits"))
    key = Key(encode(PUBLIC))
    for _ in range(102):
        key.signed(b"", signature()[2])
    assert used == ["bits"] * 100 + ["tables"] * 2
