"""What `evidenced enroll` says of what is no hub, or not the one that was meant: each with what to do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.configuration.model import Hub
from agent.delivery.answers import NOT_A_HUB, UNWELL
from agent.doctor.sinks import check_remote
from agent.places import places
from evidence.keys import NOTE_COSIGNATURE, PrivateKey
from tests.agent.command_line import Evidenced, Ran
from tests.agent.delivery.certificates import LOOPBACK, Made, make
from tests.agent.delivery.hostile import Hostile, Script, answers, ends, hostile

HTML = "Content-Type: text/html; charset=utf-8"
PAGE = b"<html>Please log in</html>"
VKEY = PrivateKey(b"h" * 32).public.vkey("hub.example", NOTE_COSIGNATURE)

Enroll = Callable[..., Ran]
NO_HUB = [
    (answers(200, PAGE, HTML), "found a page of HTML", NOT_A_HUB),
    (answers(200, b"{}"), "found another document", NOT_A_HUB),
    (answers(404, PAGE, HTML), "found status 404 (not found)", NOT_A_HUB),
    (answers(302, b"", "Location: http://portal.example/"), "found status 302 (found)", NOT_A_HUB),
    (answers(401, PAGE, HTML), "found status 401 (unauthorized)", NOT_A_HUB),
    (answers(503, PAGE, HTML), "found status 503 (service unavailable)", UNWELL),
]


@pytest.fixture
def enroll(evidenced: Evidenced, state: Path, tmp_path: Path) -> Enroll:
    """Enrol a host that has a configuration of its own."""
    (tmp_path / "agent.toml").touch(0o600)

    def run(url: str, *more: str) -> Ran:
        return evidenced("enroll", "--hub", url, "--state", state, "--config", tmp_path / "agent.toml", *more)

    return run


@pytest.fixture
def private(tmp_path: Path) -> Iterator[tuple[Hostile, Made]]:
    """Return a server whose certificate a private authority issued, and that authority."""
    authority = make(tmp_path / "authority", common_name="authority")
    with hostile(answers(404), context=make(tmp_path / "good", LOOPBACK, issuer=authority).serving()) as server:
        yield server, authority


@pytest.mark.parametrize(("answer", "found", "step"), NO_HUB)
def test_what_answers_and_is_no_hub_is_said_with_what_to_do(
    enroll: Enroll, answer: Script, found: str, step: str
) -> None:
    with hostile(answer) as server:
        told = enroll(server.url)
        assert told.code == 3
        assert told.err == f"evidenced enroll: {server.url}: expected a hub of protocol 1, {found}; {step}\n"


def test_a_private_authority_is_to_be_named(enroll: Enroll, private: tuple[Hostile, Made]) -> None:
    server, authority = private
    told = enroll(server.url)
    assert (told.code, "evidenced enroll --ca-file" in told.err) == (3, True)
    told = enroll(server.url, "--ca-file", authority.file)
    assert "expected a hub of protocol 1, found status 404" in told.err


def test_doctor_names_the_same_step_once(state: Path, private: tuple[Hostile, Made]) -> None:
    sink = Hub(name="hub", url=private[0].url, vkey=VKEY)
    found = [str(each) for each in check_remote(sink, places(str(state))) if each.state == "wrong"]
    assert len(found) == 1
    assert found[0].count("ca_file") == 1
    assert found[0].endswith("; nothing was sent")


def test_an_address_without_tls_where_tls_is_spoken_says_so(enroll: Enroll) -> None:
    with hostile(ends()) as server:
        assert "its address begins with https://" in enroll(server.url).err


def test_a_port_that_speaks_no_tls_is_perhaps_the_wrong_one(enroll: Enroll) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        plain = threading.Thread(target=_speak_plainly, args=(server,))
        plain.start()
        told = enroll(f"https://127.0.0.1:{server.getsockname()[1]}")
        plain.join()
    assert "expected TLS 1.2 or later, found wrong version number; see whether this port is the right one" in told.err


def _speak_plainly(server: socket.socket) -> None:
    with server.accept()[0] as connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(("text", "found"), [("\n", "an empty line"), ("two\nlines", "other bytes")])
def test_a_file_without_a_token_is_named(enroll: Enroll, tmp_path: Path, text: str, found: str) -> None:
    body = '{"max_chunk":1,"name":"hub.example","nonce":"n","protocol":1,"vkey":"%s"}' % VKEY  # noqa: UP031  braces
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text(text)
    with hostile(answers(200, body.encode())) as server:
        told = enroll(server.url, "--token-file", str(tmp_path / "token"))
    assert told.code == 3
    assert f"{tmp_path}/token: expected a token on a line, found {found}; ask" in told.err
