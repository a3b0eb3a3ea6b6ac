"""Through a proxy that was configured: it sees a name and a port, and nothing of what is said."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import pytest

from agent.delivery import address
from agent.delivery.budget import Limits
from agent.delivery.errors import DeliveryError, SettingsError, UnreachableError, UntrustedError
from agent.delivery.tls import Trust
from agent.delivery.transport import Client
from tests.agent.delivery.certificates import LOOPBACK, Made, make
from tests.agent.delivery.hostile import Heard, Hostile, answers, drips, hostile, is_silent

QUICK = Limits(connect_s=0.5, connect_all_s=1, read_s=0.5, total_s=1)


def connects(connection: socket.socket, heard: Heard) -> None:
    """Do what a proxy does for CONNECT."""
    host, _, port = heard.line.split()[1].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as onward:
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        back = threading.Thread(target=_pump, args=(onward, connection), daemon=True)
        back.start()
        _pump(connection, onward)
        back.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def good(tmp_path: Path) -> Made:
    return make(tmp_path / "good", LOOPBACK)


def through(proxy: Hostile, server: Hostile, good: Made) -> Client:
    to = address.parse(server.url, "url")
    return Client(to, Trust(good.file), address.parse_proxy(proxy.url, "proxy"), QUICK)


def test_what_is_said_goes_through_the_proxy_and_is_closed_to_it(good: Made) -> None:
    with hostile(answers(200, b"hub"), context=good.serving()) as server, hostile(connects) as proxy:
        with through(proxy, server, good) as to:
            assert to.exchange("GET", "/", {"Authorization": "Bearer canary"}).body == b"hub"
        assert [each.line for each in proxy.heard] == [f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"]
        assert b"canary" not in proxy.heard[0].head


def test_a_proxy_that_plays_the_server_is_found_out(tmp_path: Path, good: Made) -> None:
    other = make(tmp_path / "other", LOOPBACK)
    with hostile(answers(200), context=other.serving()) as trap, hostile(answers(200)) as server:

        def misleads(connection: socket.socket, _heard: Heard) -> None:
            connects(connection, Heard(f"CONNECT 127.0.0.1:{trap.port} HTTP/1.1".encode()))

        to = address.parse(server.url.replace("http:", "https:"), "url")
        with hostile(misleads) as proxy:
            via = address.parse_proxy(proxy.url, "proxy")
            with pytest.raises(UntrustedError), Client(to, Trust(good.file), via, QUICK) as client:
                client.exchange("GET", "/")
        assert trap.heard == []


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (answers(407), "status 407 of the proxy"),
        (answers(502), "status 502 of the proxy"),
        (is_silent, "silence"),
        (drips(b"HTTP/1.1 200 OK" * 9, 0.05), "none that was whole"),
    ],
    ids=["wants a password", "cannot", "silent", "slow"],
)
def test_a_proxy_that_does_not_connect_us_is_said_so(good: Made, script: object, why: str) -> None:
    with hostile(answers(200)) as server, hostile(script) as proxy:  # type: ignore[arg-type]
        to = address.parse(server.url.replace("http:", "https:"), "url")
        via = address.parse_proxy(proxy.url, "proxy")
        with pytest.raises(UnreachableError, match=why), Client(to, Trust(good.file), via, QUICK) as client:
            client.exchange("GET", "/")


def test_this_machine_itself_is_spoken_to_without_the_proxy() -> None:
    with hostile(answers(200, b"direct")) as server, hostile(connects) as proxy:
        via = address.parse_proxy(proxy.url, "proxy")
        with Client(address.parse(server.url, "url"), proxy=via, limits=QUICK) as to:
            assert to.exchange("GET", "/").body == b"direct"
        assert proxy.connections == 0


@pytest.mark.parametrize(
    "url", ["https://proxy.example:3128", "http://u:p@proxy.example", "http://proxy.example/path", "socks5://proxy"]
)
def test_a_proxy_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        address.parse_proxy(url, "proxy")
    assert isinstance(refused.value, DeliveryError)
