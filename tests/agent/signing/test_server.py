"""The signer as a process: whole requests only, nobody who can keep others waiting, and a clean end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.collection.frames import FRAME_LIMIT, encode
from agent.signing import session
from agent.signing.door import open_door
from agent.signing.listening import bind
from agent.signing.peer import Peer, Role
from agent.signing.protocol import Failed, Signed, Snapshot, Welcome, question_frame
from agent.signing.remote import frames_of
from evidence.order import origin_of
from tests.agent.signing.running import (
    SEEN,
    Running,
    answer_on,
    collection,
    connected,
    entries,
    is_open,
    question,
    signer,
    wait_for,
)

SNAPSHOT = Snapshot(tables=("users",), promise={}, reason="by-hand", privileged=False, labels={})
HELLO = question(b'{"op":"hello"}')


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with signer(tmp_path_factory.mktemp("signer") / "state") as started:
        yield started


def test_several_requests_follow_each_other_on_one_connection(running: Running) -> None:
    with connected(running) as connection:
        for _ in range(2):
            connection.sendall(HELLO)
            assert isinstance(answer_on(connection), Welcome)
        connection.sendall(question_frame(SNAPSHOT) + b"".join(frames_of(collection())) + encode(b"Z", b""))
        assert isinstance(answer_on(connection), Signed)


@pytest.mark.parametrize(
    "spoken",
    [
        HELLO[:3],
        HELLO[:-1],
        question_frame(SNAPSHOT),
        question_frame(SNAPSHOT) + b"".join(frames_of(collection())),
        question_frame(SNAPSHOT) + b"".join(frames_of(collection()))[:-1],
    ],
)
def test_half_a_message_is_nothing(running: Running, spoken: bytes) -> None:
    with open_door(running.places) as door:
        before = door.hello().size
        with connected(running) as connection:
            connection.sendall(spoken)
            connection.shutdown(socket.SHUT_WR)
            assert answer_on(connection) is None
        assert door.hello().size == before


@pytest.mark.parametrize(
    ("spoken", "found"),
    [
        (b"X\0\0\0\0", "kind 88"),
        (b"Q" + (FRAME_LIMIT + 1).to_bytes(4, "big"), "1048577"),
        (question(b"{}"), "something else"),
        (question(b'{"op":"hello","more":1}'), "something else"),
        (question(b'{"op":"shell"}'), "something else"),
        (question(b"[" * 60_000), "something else"),
        (question(b"\xff"), "something else"),
        (question(b" " * 70_000 + b'{"op":"hello"}'), "at most 65536 bytes"),
        (encode(b"T", b"users"), "found kind T"),
        (HELLO + HELLO, "expected to wait for the answer"),
        (question_frame(SNAPSHOT) + encode(b"Z", b""), "found fewer"),
        (question_frame(SNAPSHOT) + encode(b"R", b"{}"), "expected the beginning of a table"),
        (question_frame(SNAPSHOT) + encode(b"T", b"groups"), "asked for"),
        (question_frame(SNAPSHOT) + encode(b"T", b"users") + encode(b"Z", b""), "found fewer"),
        (question_frame(SNAPSHOT) + encode(b"T", b"users") + encode(b"G", b"{}"), "gap"),
        (question_frame(SNAPSHOT) + HELLO, "the rest of a snapshot"),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_ended(running: Running, spoken: bytes, found: str) -> None:
    with connected(running) as connection:
        connection.sendall(spoken)
        answer = answer_on(connection)
        assert isinstance(answer, Failed)
        assert found in answer.found
        assert answer_on(connection) is None


@pytest.mark.parametrize("tables", [("nosuch",), ("users", "users")])
def test_tables_that_are_not_known_or_not_once_are_refused(running: Running, tables: tuple[str, ...]) -> None:
    asked = Snapshot(tables=tables, promise={}, reason="by-hand", privileged=False, labels={})
    with connected(running) as connection:
        connection.sendall(question_frame(asked))
        answer = answer_on(connection)
        assert isinstance(answer, Failed)
        assert "tables of this version" in answer.found


def test_a_row_that_breaks_its_header_fails_its_table_at_the_signer_too(running: Running) -> None:
    frames = encode(b"T", b"users") + encode(b"R", b'{"name":1}') + list(frames_of(collection()))[-1]
    with connected(running) as connection:
        connection.sendall(question_frame(SNAPSHOT) + frames + encode(b"Z", b""))
        assert isinstance(answer_on(connection), Signed)


def test_a_peer_that_stops_in_the_middle_keeps_nobody_waiting(running: Running) -> None:
    with connected(running) as stuck:
        stuck.sendall(question_frame(SNAPSHOT) + encode(b"T", b"users")[:4])
        begun = time.monotonic()
        with open_door(running.places) as door:
            door.snapshot([collection()], SEEN, {})
        assert time.monotonic() - begun < 5


def test_a_stopped_process_keeps_nobody_waiting(running: Running) -> None:
    program = (
        "import os, signal, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "s.connect(sys.argv[1]); s.sendall(b'Q'); os.kill(os.getpid(), signal.SIGSTOP)"
    )
    peer = subprocess.Popen([sys.executable, "-c", program, running.places.sign_socket])
    try:
        os.waitid(os.P_PID, peer.pid, os.WSTOPPED)
        with open_door(running.places) as door:
            assert door.hello().secret
        peer.send_signal(signal.SIGCONT)
        assert peer.wait(20) == 0
    finally:
        peer.kill()
        peer.wait()


def test_more_connections_than_there_are_places_wait_their_turn(running: Running) -> None:
    held = [connected(running) for _ in range(16)]
    try:
        late = connected(running)
        late.sendall(HELLO)
        late.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.recv(1)
        held.pop().close()
        late.settimeout(20)
        assert isinstance(answer_on(late), Welcome)
        late.close()
    finally:
        for each in held:
            each.close()


def test_a_connection_without_a_request_is_ended(tmp_path: Path) -> None:
    listener = bind(str(tmp_path / "sock"))
    ours, theirs = socket.socketpair()
    with listener, ours, theirs:
        idle = session.Session(ours, Peer(0, frozenset()), Role.OWNER, dict, 100.0)
        assert idle.deadline == 100.0 + session.IDLE_S
        theirs.sendall(HELLO[:2])
        assert idle.read(105.0)
        assert idle.deadline == 105.0 + session.REQUEST_S
        theirs.sendall(HELLO[2:])
        assert idle.read(106.0)
        assert idle.request is not None


def test_sigterm_ends_it_at_once_and_the_socket_is_gone(tmp_path: Path) -> None:
    with signer(tmp_path / "state") as started, connected(started) as idle, connected(started) as half:
        half.sendall(HELLO[:-1])
        idle.sendall(HELLO)
        assert isinstance(answer_on(idle), Welcome)
        begun = time.monotonic()
        started.process.terminate()
        assert started.end() == (0, "")
        assert time.monotonic() - begun < 5
        assert answer_on(half) is None
    assert not os.path.exists(started.places.sign_socket)
    assert is_open(tmp_path / "state")


def test_what_was_asked_before_sigterm_is_signed_or_refused_but_never_lost(tmp_path: Path) -> None:
    with signer(tmp_path / "state") as started:
        with connected(started) as connection:
            connection.sendall(question_frame(SNAPSHOT) + b"".join(frames_of(collection())) + encode(b"Z", b""))
            wait_for(lambda: os.path.exists(tmp_path / "state/lock"))
            started.process.terminate()
            answer = answer_on(connection)
        assert started.end()[0] == 0
    assert answer is None or isinstance(answer, (Signed, Failed))
    if isinstance(answer, Signed):
        assert entries(tmp_path / "state")[answer.sequence] == "snapshot"


def test_sighup_means_nothing_to_it(running: Running) -> None:
    running.process.send_signal(signal.SIGHUP)
    with open_door(running.places) as door:
        assert door.hello().size >= 0


def test_it_is_told_apart_from_a_socket_that_was_left_behind(tmp_path: Path) -> None:
    with signer(tmp_path / "state") as started:
        started.process.kill()
        started.process.wait()
    assert os.path.exists(started.places.sign_socket)
    with open_door(started.places) as door:
        assert door.snapshot([collection()], SEEN, {}).sequence == 1


def test_logs_are_listed_oldest_first_and_a_key_is_shown_with_those_before_it(tmp_path: Path) -> None:
    with signer(tmp_path / "state") as started, open_door(started.places) as door:
        door.hello()
        first = door.event("heartbeat", {}, {})
        origins = [first.origin, door.rotate().origin, door.rotate().origin]
        assert [(origin_of(each.log), each.size) for each in door.logs()] == list(zip(origins, (3, 2, 1), strict=True))
        proof = door.prove("hub.example", "1234")
        assert proof.origin == origins[-1]
        assert [each.origin for each in proof.rotations] == origins[:-1]
