"""Who may be on the other end, and that nothing is said to anyone else: fault N10."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import ipaddress
import socket
import ssl
import warnings
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from agent.delivery import address
from agent.delivery.budget import Limits
from agent.delivery.errors import DeliveryError, SettingsError, UnreachableError, UntrustedError
from agent.delivery.tls import Trust, public_key_of
from agent.delivery.transport import Client
from tests.agent.delivery.certificates import LOOPBACK, Made, make
from tests.agent.delivery.hostile import Hostile, answers, hostile

QUICK = Limits(connect_s=0.5, connect_all_s=1, read_s=0.5, total_s=2)
DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("tls") / "authority", common_name="authority")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, authority: Made) -> Made:
    return make(tmp_path_factory.mktemp("tls") / "good", LOOPBACK, issuer=authority)


def ask(server: Hostile, trust: Trust) -> int:
    with Client(address.parse(server.url, "url"), trust, limits=QUICK) as to:
        return to.exchange("GET", "/", {"Authorization": "Bearer canary"}).status


def test_a_certificate_of_a_known_authority_for_this_address_is_taken(authority: Made, good: Made) -> None:
    with hostile(answers(200), context=good.serving()) as server:
        assert ask(server, Trust(authority.file)) == 200


@pytest.mark.parametrize(
    ("story", "options", "why"),
    [
        ("expired", {"begins": -2 * DAY, "ends": -DAY}, "certificate has expired"),
        ("not yet valid", {"begins": DAY, "ends": 2 * DAY}, "certificate is not yet valid"),
        ("another name", {"names": [x509.DNSName("other.example")]}, "ip address mismatch"),
        ("another address", {"names": [x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]}, "ip address mismatch"),
        ("the address as a name only", {"names": [x509.DNSName("127.0.0.1")]}, "ip address mismatch"),
        ("the address as common name", {"names": [x509.DNSName("a.example")], "common_name": "127.0.0.1"}, "mismatch"),
    ],
)
def test_another_certificate_is_refused_before_a_byte_is_sent(
    tmp_path: Path, authority: Made, story: str, options: dict[str, object], why: str
) -> None:
    names = options.pop("names", [LOOPBACK])
    bad = make(tmp_path / story, *names, issuer=authority, **options)  # type: ignore[misc, arg-type]
    with hostile(answers(200), context=bad.serving()) as server:
        with pytest.raises(UntrustedError, match=why):
            ask(server, Trust(authority.file))
        assert server.heard == []


def test_a_self_signed_certificate_is_refused(tmp_path: Path, authority: Made) -> None:
    bad = make(tmp_path / "self", LOOPBACK)
    with hostile(answers(200), context=bad.serving()) as server:
        with pytest.raises(UntrustedError, match="self-signed certificate"):
            ask(server, Trust(authority.file))
        assert server.heard == []


def test_an_unknown_authority_is_refused_by_those_of_the_system(good: Made) -> None:
    with hostile(answers(200), context=good.serving()) as server:
        with pytest.raises(UntrustedError, match="unable to get local issuer certificate"):
            ask(server, Trust())
        assert server.heard == []


def test_an_old_version_is_refused(authority: Made, good: Made) -> None:
    context = good.serving()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with hostile(answers(200), context=context) as server:
        with pytest.raises(UntrustedError, match="version"):
            ask(server, Trust(authority.file))
        assert server.heard == []


def test_a_server_without_tls_is_refused(authority: Made) -> None:
    with hostile(answers(200)) as server:
        to = address.parse(server.url.replace("http:", "https:"), "url")
        with pytest.raises(DeliveryError), Client(to, Trust(authority.file), limits=QUICK) as client:
            client.exchange("GET", "/", {"Authorization": "Bearer canary"})
        assert all(b"canary" not in each.head for each in server.heard)


@pytest.mark.parametrize("what", ["certificate", "key"])
def test_a_pin_of_the_certificate_or_of_its_key_is_enough(authority: Made, good: Made, what: str) -> None:
    pin = hashlib.sha256(good.der if what == "certificate" else good.spki).hexdigest()
    with hostile(answers(200), context=good.serving()) as server:
        assert ask(server, Trust(authority.file, pins=("00" * 32, pin))) == 200


def test_a_changed_pin_is_refused_before_a_byte_is_sent(authority: Made, good: Made) -> None:
    with hostile(answers(200), context=good.serving()) as server:
        with pytest.raises(UntrustedError, match="pinned"):
            ask(server, Trust(authority.file, pins=("00" * 32,)))
        assert server.heard == []


def test_a_pin_replaces_no_other_check(good: Made) -> None:
    pin = hashlib.sha256(good.der).hexdigest()
    with hostile(answers(200), context=good.serving()) as server, pytest.raises(UntrustedError, match="issuer"):
        ask(server, Trust(pins=(pin,)))


def test_a_client_certificate_is_shown(tmp_path: Path, authority: Made, good: Made) -> None:
    mine = make(tmp_path / "mine", x509.DNSName("host.example"), issuer=authority)
    context = good.serving()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    with hostile(answers(200), context=context) as server:
        trust = Trust(authority.file, client_certificate=mine.file, client_key=mine.key_file)
        assert ask(server, trust) == 200
        with pytest.raises(DeliveryError):
            ask(server, Trust(authority.file))


def test_a_handshake_that_does_not_end_is_given_up(authority: Made) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        to = address.parse(f"https://127.0.0.1:{listener.getsockname()[1]}", "url")
        with Client(to, Trust(authority.file), limits=QUICK) as client, pytest.raises(UnreachableError):
            client.exchange("GET", "/")


@pytest.mark.parametrize(
    "trust",
    [
        Trust("/nonexistent"),
        Trust("/dev/null"),
        Trust(client_certificate="/nonexistent"),
        Trust(pins=("ab",)),
        Trust(pins=("A" * 64,)),
    ],
)
def test_a_setting_that_cannot_be_used_is_told(trust: Trust) -> None:
    with pytest.raises(SettingsError):
        Client(address.parse("https://hub.example", "url"), trust)


def test_the_public_key_is_found_as_openssl_finds_it(good: Made, authority: Made) -> None:
    assert public_key_of(good.der) == good.spki
    assert public_key_of(authority.der) == authority.spki


@given(st.binary(max_size=200))
def test_bytes_that_are_no_certificate_have_no_public_key_or_some_bytes(data: bytes) -> None:
    with contextlib.suppress(UntrustedError):
        assert public_key_of(data) in data
