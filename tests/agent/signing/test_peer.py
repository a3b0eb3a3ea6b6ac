"""Who may ask what, by the kernel's word."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent import users
from agent.collection.frames import encode
from agent.places import Places, places
from agent.signing import peer, protocol
from agent.signing.peer import Doorkeeper, Peer, Role, may, peer_of
from agent.signing.protocol import Failed, Question, Signed, question_frame
from agent.signing.remote import check_server, frames_of
from evidence.errors import UnsafeStateError
from tests.agent.signing.running import TOP, answer_on, collection, wait_for

COLLECTOR, UPLOADER, RECORDERS, MEMBER, STRANGER = 4001, 4002, 4003, 4004, 4005
WHO = Doorkeeper(0, collector=COLLECTOR, uploader=UPLOADER, recorders=RECORDERS)

QUESTIONS: dict[str, Question] = {
    "hello": protocol.Hello(),
    "snapshot": protocol.Snapshot(tables=("users",), promise={}, reason="scheduled", privileged=True, labels={}),
    "event": protocol.Event(kind="heartbeat", fields={}, details={}, labels={}),
    "enrolled": protocol.Event(kind="enrolled", fields={"hub": "h", "vkey": "h+00000000+BA=="}, details={}, labels={}),
    "record": protocol.Record(kind="backup-run", fields={"job": "nightly", "result": "ok"}),
    "rotate": protocol.Rotate(),
    "prune": protocol.Prune(before="2026-01-01T00:00:00Z"),
    "check": protocol.Check(),
    "delivered": protocol.Delivered(sink="x", batch="0" * 16 + "-1-000000000000-000000000001.tar.gz"),
    "refused": protocol.Refused(sink="x", batch="0" * 16 + "-1-000000000000-000000000001.tar.gz", reason="no"),
    "prove": protocol.Prove(hub="hub.example", nonce="1234"),
    "logs": protocol.Logs(),
    "batches": protocol.Batches(),
    "flush": protocol.Flush(),
    "settings": protocol.Settings(),
}
ALLOWED = {
    0: set(QUESTIONS),
    COLLECTOR: {"hello", "snapshot", "event", "check", "batches", "flush"},
    UPLOADER: {"delivered", "refused", "prove", "logs", "batches", "flush", "settings"},
    MEMBER: {"record"},
    STRANGER: set(),
}


def test_each_role_may_ask_what_is_written_here_and_nothing_else() -> None:
    roles = {0: Role.OWNER, COLLECTOR: Role.COLLECTOR, UPLOADER: Role.UPLOADER, MEMBER: Role.RECORDER}
    for uid, allowed in ALLOWED.items():
        role = roles.get(uid, Role.STRANGER)
        assert {name for name, each in QUESTIONS.items() if may(role, each)} == allowed


def test_from_which_entry_a_hub_lacks_batches_is_not_for_who_reads_the_host_to_say() -> None:
    again = protocol.Batches(log="0" * 16 + "-1", first=7)
    assert [may(role, again) for role in (Role.OWNER, Role.UPLOADER, Role.COLLECTOR)] == [True, True, False]


def test_every_kind_of_request_is_among_those_that_are_asked_here() -> None:
    assert {type(each) for each in QUESTIONS.values()} == set(Question.__subclasses__())


def test_a_user_of_the_service_is_that_alone_whatever_its_groups() -> None:
    assert WHO.role(Peer(UPLOADER, frozenset((RECORDERS,)))) is Role.UPLOADER
    assert WHO.role(Peer(MEMBER, frozenset((5, RECORDERS)))) is Role.RECORDER
    assert WHO.role(Peer(STRANGER, frozenset((5,)))) is Role.STRANGER


def test_a_signer_of_an_ordinary_user_serves_that_user_and_root_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "user_id", {users.COLLECTOR: COLLECTOR, users.SIGNER: 77}.get)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    who = Doorkeeper.of_this_process()
    assert who == Doorkeeper(1000)
    assert who.role(Peer(COLLECTOR, frozenset())) is Role.STRANGER
    monkeypatch.setattr(os, "geteuid", lambda: 77)
    assert Doorkeeper.of_this_process().collector == COLLECTOR


def test_the_kernel_says_who_connected() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_of(ours) == Peer(os.geteuid(), frozenset((os.getegid(), *os.getgroups())))


def test_groups_come_from_the_user_database_where_the_kernel_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "SO_PEERGROUPS", 9999)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert os.getegid() in peer_of(ours).groups


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    where = places(str(tmp_path_factory.mktemp("served") / "state"))
    program = f"""
import os
from agent.signing import listening
from agent.signing.clerk import Clerk
from agent.signing.notify import Notifier
from agent.signing.outbox import Outbox
from agent.signing.peer import Doorkeeper
from agent.signing.policy import NOTHING
from agent.signing.server import Server
from agent.signing.service import Service
clerk = Clerk({where.state!r}, 1)
service = Service(clerk, Outbox({where.outbox!r}, clerk, lambda: NOTHING))
listener = listening.bind({where.sign_socket!r}, 0o666)
os.chmod({where.run!r}, 0o711)
Server(listener, {WHO!r}, service.act, service.tables).run(Notifier({{}}), service.pause)
"""
    process = subprocess.Popen([sys.executable, "-c", program], cwd=TOP)
    try:
        wait_for(lambda: os.path.exists(where.run) and os.stat(where.run).st_mode & 0o777 == 0o711)
        yield where
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def as_user(uid: int, group: int) -> Iterator[None]:
    """Be another user until the end, as far as the kernel tells a peer."""
    os.setgroups([group])
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setgroups([0])


def asked(where: Places, uid: int, ask: Question) -> protocol.AnyAnswer | None:
    """Return the answer to a user, from a process that has left root for good."""
    folder = os.open(where.run, os.O_PATH)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([RECORDERS] if uid == MEMBER else [])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(f"/proc/self/fd/{folder}/sign.sock")
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(question_frame(ask), socket.MSG_NOSIGNAL)
                    if isinstance(ask, protocol.Snapshot):
                        frames = b"".join(frames_of(collection())) + encode(b"Z", b"")
                        connection.sendall(frames, socket.MSG_NOSIGNAL)
                answer = answer_on(connection)
            os.write(writing, b"" if answer is None else msgspec.json.encode(answer))
        finally:
            os.kill(os.getpid(), signal.SIGKILL)  # nothing of pytest runs twice
    os.close(writing)
    os.close(folder)
    os.waitpid(child, 0)
    with open(reading, "rb") as pipe:
        data = pipe.read()
    return protocol.parse_answer(data) if data else None


@pytest.mark.needs_root
@pytest.mark.parametrize("uid", [COLLECTOR, UPLOADER, MEMBER, STRANGER, 0])
def test_each_user_is_answered_what_it_may_ask_and_refused_the_rest(served: Places, uid: int) -> None:
    for name, each in QUESTIONS.items():
        answer = asked(served, uid, each)
        refused = isinstance(answer, Failed) and answer.kind == "NotAllowedError"
        assert refused == (name not in ALLOWED[uid]), (name, answer)
        if name in {"snapshot", "record", "event"} and not refused:
            assert isinstance(answer, Signed)


@pytest.mark.needs_root
def test_who_recorded_is_signed_as_the_kernel_says(served: Places) -> None:
    from evidence.reader import StoreReader  # noqa: PLC0415

    answer = asked(served, MEMBER, QUESTIONS["record"])
    assert isinstance(answer, Signed)
    with StoreReader(served.state) as reader:
        statement = reader.entry(reader.logs()[-1].id, answer.sequence).statement
        assert statement is not None
        details = reader.blob(statement.subjects()["event"])
    assert details == b'{"recorded_by":{"name":null,"uid":%d}}\n' % MEMBER


@pytest.mark.needs_root
def test_a_socket_that_somebody_else_made_is_not_spoken_to(tmp_path: Path) -> None:
    where = places(str(tmp_path / "state"))
    listener = socket.socket(socket.AF_UNIX)
    os.makedirs(where.run)
    folder = os.open(where.run, os.O_PATH)
    os.chmod(where.run, 0o777)  # noqa: S103  so that the other user can make it
    with listener, as_user(STRANGER, STRANGER):
        listener.bind(f"/proc/self/fd/{folder}/sign.sock")
        listener.listen()
        os.seteuid(0)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"/proc/self/fd/{folder}/sign.sock")
            with pytest.raises(UnsafeStateError, match=f"a socket of root or user 0, found user {STRANGER}"):
                check_server(connection, where)
    os.close(folder)
