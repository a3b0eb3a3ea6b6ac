"""One exchange against servers that do everything wrong: faults N4 and N5."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from agent.delivery import address
from agent.delivery.budget import Limits
from agent.delivery.errors import AnswerError, DeliveryError, SettingsError, UnreachableError
from agent.delivery.transport import Body, Client, body_of
from tests.agent.delivery.hostile import (
    Hostile,
    Script,
    answers,
    drips,
    ends,
    floods,
    hostile,
    is_silent,
    says,
)
from tests.hub.running import ROOT

QUICK = Limits(connect_s=0.3, connect_all_s=0.6, read_s=0.3, total_s=0.6)
OK = b"HTTP/1.1 200 OK\r\n"


def client(server: Hostile, limits: Limits = QUICK) -> Client:
    return Client(address.parse(server.url, "url"), limits=limits)


def test_a_whole_answer_comes_back_with_its_headers() -> None:
    with hostile(answers(200, b"body", "X-One: 1")) as server, client(server) as to:
        found = to.exchange("GET", "/path?query")
    assert (found.status, found.body, found.header("x-one")) == (200, b"body", "1")
    assert server.heard[0].line == "GET /path?query HTTP/1.1"
    assert server.heard[0].header("accept-encoding") == "identity"


def test_a_header_that_stands_twice_is_none() -> None:
    with hostile(answers(200, b"", "X-One: 1", "X-One: 2")) as server, client(server) as to:
        assert to.exchange("GET", "/").header("x-one") is None


def test_a_body_is_sent_with_its_length() -> None:
    with hostile(answers(204)) as server, client(server) as to:
        to.exchange("PUT", "/", {"X-A": "b"}, Body(6, lambda: [b"abc", b"def"]))
    assert (server.heard[0].body, server.heard[0].header("x-a")) == (b"abcdef", "b")


def test_one_connection_serves_many_exchanges() -> None:
    with hostile(answers(204)) as server, client(server) as to:
        for _ in range(3):
            to.exchange("GET", "/")
    assert server.connections == 1


def test_a_connection_that_went_stale_is_replaced_once() -> None:
    with hostile(answers(200, b"a"), ends(), answers(200, b"b")) as server, client(server) as to:
        assert [to.exchange("PUT", "/", body=body_of(b"x")).body for _ in range(2)] == [b"a", b"b"]
    assert server.connections == 2


HOSTILE_ANSWERS: list[tuple[str, Script, type[DeliveryError]]] = [
    ("silence", is_silent, UnreachableError),
    ("the end at once", ends(), UnreachableError),
    ("half a head", ends(b"HTTP/1.1 200 OK\r\nContent-"), DeliveryError),
    ("half a body", ends(OK + b"Content-Length: 100\r\n\r\nhalf"), AnswerError),
    ("half a chunk", ends(OK + b"Transfer-Encoding: chunked\r\n\r\n40\r\nhalf"), AnswerError),
    ("chunks that are none", ends(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"), AnswerError),
    ("no length", ends(OK + b"\r\nit just ends"), AnswerError),
    ("a slow drip in the head", drips(OK + b"A" * 100, 0.05), UnreachableError),
    ("a slow drip in the body", drips(OK + b"Content-Length: 100\r\n\r\n" + b"a" * 100, 0.02), UnreachableError),
    ("10 GB announced", floods(OK + b"Content-Length: 10737418240\r\n\r\n", b"a" * 65536), AnswerError),
    ("chunks without end", floods(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 9000), AnswerError),
    ("100,000 headers", floods(OK, b"X-Header: value\r\n" * 1000), AnswerError),
    ("one endless header", floods(OK + b"X-Header: ", b"a" * 65536), AnswerError),
    ("one endless status line", floods(b"HTTP/1.1 200 ", b"a" * 65536), AnswerError),
    ("continue without end", floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), AnswerError),
    ("an early hint", says(b"HTTP/1.1 103 Early Hints\r\n\r\n"), AnswerError),
    ("an upgrade", says(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), AnswerError),
    ("a bomb", answers(200, gzip.compress(b"0" * 10_000_000), "Content-Encoding: gzip"), AnswerError),
    ("a longer answer than there may be", answers(200, b"a" * ((64 << 10) + 1)), AnswerError),
    ("no HTTP", ends(b"SSH-2.0-OpenSSH_9.2\r\n"), AnswerError),
    ("HTTP/0.9", ends(b"<html>welcome to the hotel</html>"), AnswerError),
    ("a status that is none", ends(b"HTTP/1.1 2000 OK\r\n\r\n"), AnswerError),
    ("a length that is none", ends(OK + b"Content-Length: many\r\n\r\na"), AnswerError),
    ("a negative length", ends(OK + b"Content-Length: -1\r\n\r\na"), AnswerError),
]


@pytest.mark.parametrize(
    ("script", "error"), [each[1:] for each in HOSTILE_ANSWERS], ids=[e[0] for e in HOSTILE_ANSWERS]
)
def test_an_answer_that_is_none_ends_in_time_with_our_error(script: Script, error: type[DeliveryError]) -> None:
    with hostile(script) as server, client(server) as to:
        began = time.monotonic()
        with pytest.raises(error):
            to.exchange("GET", "/")
        assert time.monotonic() - began < 10


def test_the_limits_that_the_page_names_are_those_in_force() -> None:
    page = (ROOT / "docs/delivery.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| (to connect|silence|one exchange|an answer) \| (.*) \|$", page, re.MULTILINE))
    limits = Limits()
    assert re.findall(r"\b([0-9]+) s\b", rows["to connect"]) == [f"{limits.connect_s:g}", f"{limits.connect_all_s:g}"]
    assert rows["silence"] == f"{limits.read_s:g} s"
    assert rows["one exchange"].startswith(f"{limits.total_s:g} s ")
    assert rows["an answer"].startswith(f"{limits.answer_bytes >> 10} KiB, ")
    assert rows["an answer"].endswith(f", {limits.head_bytes >> 10} KiB of headers")


def test_an_answer_of_the_limit_itself_is_taken() -> None:
    with hostile(answers(200, b"a" * (64 << 10))) as server, client(server) as to:
        assert len(to.exchange("GET", "/").body) == 64 << 10


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    with hostile(answers(200, b"trap")) as trap, hostile(answers(307, b"", f"Location: {trap.url}/")) as server:
        with client(server) as to:
            assert to.exchange("POST", "/", body=body_of(b"evidence")).status == 307
        assert trap.heard == []


@pytest.fixture
def misleading_environment(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hostile]:
    with hostile(answers(200, b"proxy")) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv(name.upper(), proxy.url)
        monkeypatch.setenv("HOME", os.fspath(str(tmp_path)))
        with open(f"{tmp_path}/.netrc", "w", encoding="ascii") as netrc:
            netrc.write("machine 127.0.0.1 login user password canary\n")
        yield proxy


def test_nothing_is_taken_from_the_environment_or_netrc(misleading_environment: Hostile) -> None:
    with hostile(answers(200, b"direct")) as server, client(server) as to:
        assert to.exchange("GET", "/").body == b"direct"
        assert server.heard[0].header("authorization") is None
    assert misleading_environment.connections == 0


def test_a_cookie_is_not_sent_back() -> None:
    with hostile(answers(200, b"", "Set-Cookie: a=b")) as server, client(server) as to:
        to.exchange("GET", "/")
        to.exchange("GET", "/")
    assert server.heard[1].header("cookie") is None


def test_an_answer_before_the_body_was_read_is_heard() -> None:
    def refuse(connection: object, _heard: object) -> None:
        """Not reached: the answer is given before the body is there."""

    with hostile(refuse) as server, client(server, Limits(read_s=2, total_s=5)) as to:
        early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        body = Body(1 << 20, lambda: _hearing(server, early))
        assert to.exchange("PUT", "/", body=body).status == 413


def _hearing(server: Hostile, early: bytes) -> Iterator[bytes]:
    """Yield a body during which the server answers."""
    yield b"a" * 1000
    while not server._open:
        time.sleep(0.001)
    server._open[0].sendall(early)
    yield b"a" * ((1 << 20) - 1000)


def test_a_body_goes_into_what_the_caller_has_for_it() -> None:
    held = bytearray()
    with hostile(answers(200, b"a" * 200_000)) as server, client(server) as to:
        found = to.exchange("GET", "/", into=held.extend, answer_bytes=200_000)
    assert (len(held), found.body) == (200_000, b"")


def test_nobody_listening_is_said_so() -> None:
    with hostile(answers(200)) as server:
        gone = client(server)
    with pytest.raises(UnreachableError, match="connection refused"), gone:
        gone.exchange("GET", "/")


BAD_URLS = [
    "http://hub.example/",
    "ftp://127.0.0.1/",
    "https://",
    "https://user:secret@hub.example/",
    "https://hub.example/#part",
    "https://hub.example/a b",
    "https://hub.example:99999/",
    "https://[::1/",
    "hub.example",
    "https://hub.example/\r\nX: y",
    "http://127.0.0.1.example/",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_that_is_not_safe_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        address.parse(url, "url")
    assert "secret" not in str(refused.value)


def test_a_url_is_taken_apart() -> None:
    found = address.parse("https://[2001:db8::1]:8443/base/?sig=1", "url")
    assert (found.host, found.port, found.authority) == ("2001:db8::1", 8443, "[2001:db8::1]:8443")
    assert found.target("/v1/hub") == "/base/v1/hub?sig=1"
    assert "sig" not in found.where


SENDS = """
import signal, socket, threading
from agent.delivery import address
from agent.delivery.errors import UnreachableError
from agent.delivery.transport import Body, Client

signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # as for every command
listener = socket.create_server(("127.0.0.1", 0))
gone = threading.Event()

def hang_up():
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.close()
    gone.set()

def blocks():
    gone.wait(5)
    for _ in range(3):
        yield b"block"
        threading.Event().wait(0.1)

threading.Thread(target=hang_up).start()
try:
    client = Client(address.parse(f"http://127.0.0.1:{listener.getsockname()[1]}", "url"))
    client.exchange("PUT", "/", {}, Body(15, blocks))
except UnreachableError:
    print("told", signal.SIGPIPE in signal.sigpending())
"""


def test_a_server_that_hangs_up_while_it_is_sent_to_is_an_error_and_does_not_end_the_process() -> None:
    ran = subprocess.run([sys.executable, "-c", SENDS], cwd=ROOT, capture_output=True, check=False, timeout=30)
    assert (ran.returncode, ran.stdout) == (0, b"told False\n"), ran.stderr
