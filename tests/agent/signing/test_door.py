"""One door: what is signed is the same whether the signer signs or the command itself, and so is what goes wrong."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import socket
import threading
from pathlib import Path

import msgspec
import pytest

from agent.collection.limits import Limits
from agent.collection.parent import collect
from agent.collection.receiver import Collection, Receiver
from agent.observing import now, open_host
from agent.places import places
from agent.signing.door import open_door
from agent.signing.listening import bind
from agent.signing.local import LocalDoor
from agent.signing.protocol import Question
from agent.signing.remote import LostAnswerError, RemoteDoor, frames_of
from agent.signing.session import LIMITS
from agent.version import VERSION
from collectors.access import users
from collectors.catalogue import all_tables
from collectors.contract import Gap
from evidence import identity
from evidence.errors import BusyError, EvidenceError, FormatError, NewerStateError, StateError, UnsafeStateError
from evidence.log import EvidenceStore
from evidence.predicates import Snapshot
from evidence.reader import StoreReader
from tests.agent.command_line import Evidenced
from tests.agent.signing.running import LIVE, SEEN, collection, entries, signer

DAMAGED = Path(__file__).parents[3] / "fixtures/hosts/damaged"


def predicate(state: Path, sequence: int) -> Snapshot:
    with StoreReader(str(state)) as reader:
        statement = reader.entry(reader.logs()[-1].id, sequence).statement
    assert isinstance(statement, Snapshot)
    return statement


def received_again(collections: list[Collection]) -> list[Collection]:
    """Return collections as the signer has them."""
    receiver = Receiver([each.table for each in collections], LIMITS, lambda _name, _rows: None)
    for each in collections:
        for frame in frames_of(each):
            receiver.take(frame[:1], frame[5:])
    return receiver.finish(None)


def test_a_host_on_which_everything_is_damaged_is_signed_alike_through_both_doors(tmp_path: Path) -> None:
    found = collect(all_tables(), lambda: open_host(str(DAMAGED), b"s" * 32))
    local = LocalDoor(places(str(tmp_path / "local")), 1)
    local.snapshot(found, SEEN, {"users": 60})
    with signer(tmp_path / "remote") as started, open_door(started.places) as door:
        assert isinstance(door, RemoteDoor)
        door.snapshot(found, SEEN, {"users": 60})
    ours, theirs = predicate(tmp_path / "local", 1), predicate(tmp_path / "remote", 1)
    assert ours.predicate.tables == theirs.predicate.tables
    assert ours.subject == theirs.subject


def test_a_failed_table_and_one_with_folded_gaps_are_judged_alike_twice() -> None:
    gaps = [Gap("/etc/passwd", "malformed", line=number) for number in range(1, Limits().gaps + 1)]
    folded = Gap("users", "malformed", "expected at most 10000 gaps, found 7 more of this reason", count=7)
    why = "defect in the collector: " + "x" * 500
    cases = [
        Collection(users.TABLE, gaps=[*gaps, folded], coverage="partial"),
        Collection(users.TABLE, gaps=[Gap("users", "failed", "short")], failure="short", coverage="failed"),
        Collection(users.TABLE, gaps=[Gap("users", "unsupported", "no")], failure="no", coverage="unsupported"),
        collection(rows=20_000),
    ]
    for each in cases:
        (again,) = received_again([each])
        assert (again.coverage, again.failure, again.rows) == (each.coverage, each.failure, each.rows)
        assert sorted(map(msgspec.json.encode, again.gaps)) == sorted(map(msgspec.json.encode, each.gaps))
    long = Collection(users.TABLE, gaps=[Gap("users", "failed", why)], failure=why, coverage="failed")
    (again,) = received_again([long])
    assert (again.failure, len(again.gaps)) == (why[:300], 1)


@pytest.mark.parametrize("remote", [True, False])
def test_name_machine_and_version_of_a_live_host_are_those_the_signer_finds(tmp_path: Path, remote: bool) -> None:
    state = tmp_path / "state"
    if remote:
        with signer(state) as started, open_door(started.places) as door:
            entry = door.snapshot([collection()], LIVE, {"users": 3600})
            machine = door.machine
    else:
        with open_door(places(str(state))) as door:
            entry = door.snapshot([collection()], LIVE, {"users": 3600})
            machine = door.machine
    told = predicate(state, entry.sequence).predicate
    assert (told.host.name, told.host.machine) == (os.uname().nodename, machine)
    assert told.host.machine != LIVE.machine
    assert told.agent.version == VERSION
    assert (told.host.labels, told.run.reason, told.run.privileged) == ({"role": "web"}, "scheduled", True)
    assert told.tables[0].interval_s == 3600


def test_an_inventory_goes_through_the_signer_and_says_the_same(evidenced: Evidenced, image: Path, state: Path) -> None:
    command = ("inventory", "--root", image, "--table", "users", "--sign", "--state", state)
    with signer(state) as started:
        ran = evidenced(*command)
        assert ran.code == 0
        assert "Signed as entry 1" in ran.out
        assert evidenced("keys", "rotate", "--state", state).code == 0
        assert evidenced("prune", "--state", state).code == 0
        with pytest.raises(BusyError, match=f"found process {started.process.pid} writing"):
            EvidenceStore.open(str(state), machine=None, clock=now, wait_s=0)
    assert evidenced("log", "--state", state).code == 0


def test_news_of_the_store_come_over_the_socket(evidenced: Evidenced, image: Path, state: Path) -> None:
    command = ("inventory", "--root", image, "--table", "users", "--sign", "--state", state)
    assert evidenced(*command).code == 0
    (state / "keys/agent.pem").write_text("no key")
    with signer(state):
        ran = evidenced(*command)
    assert ran.code == 0
    assert "! The key or the log was damaged: a new log was begun" in ran.err
    assert "! Damage was found. Key: " in ran.err


def test_a_state_of_a_later_version_is_refused_and_said(tmp_path: Path) -> None:
    state = tmp_path / "state"
    LocalDoor(places(str(state)), 1).snapshot([collection()], SEEN, {})
    with StoreReader(str(state)) as reader:
        size = reader.logs()[-1].size
    path = state / "keys/identity.json"
    line = json.dumps({**json.loads(path.read_bytes().split(b"\n")[0]), "format": 2}, sort_keys=True).encode()
    path.write_bytes(line + b"\n" + identity._check(line))
    with signer(state) as started, open_door(started.places) as door:
        for _ in range(2):
            with pytest.raises(NewerStateError, match="found format 2; use the version of evidenced that wrote it"):
                door.snapshot([collection()], SEEN, {})
        with pytest.raises(NewerStateError):
            door.rotate()
        assert started.process.poll() is None
    with StoreReader(str(state)) as reader:
        assert reader.logs()[-1].size == size


def test_an_unsafe_state_is_refused_in_the_words_of_the_store(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with signer(state) as started, open_door(started.places) as door:
        state.chmod(0o755)
        with pytest.raises(UnsafeStateError, match="chmod 0700"):
            door.snapshot([collection()], SEEN, {})
        state.chmod(0o700)
        assert door.snapshot([collection()], SEEN, {}).sequence == 1


def test_two_writers_never_meet(tmp_path: Path) -> None:
    state = tmp_path / "state"
    LocalDoor(places(str(state)), 1).snapshot([collection()], SEEN, {})
    with (
        EvidenceStore.open(str(state), machine=None, clock=now),
        signer(state) as started,
        open_door(started.places, wait_s=0.1) as door,
        pytest.raises(BusyError, match="only writer"),
    ):
        door.snapshot([collection()], SEEN, {})
    with signer(state) as first, signer(state) as second:
        for _ in range(2):
            with open_door(first.places) as door:
                door.snapshot([collection()], SEEN, {})
        with open_door(second.places) as door:
            door.snapshot([collection()], SEEN, {})
    assert entries(state) == ["log-opened", *["snapshot"] * 4]


@pytest.mark.parametrize(
    "said", [b"", b"A", b"X\0\0\0\0", b"A\0\0\0\2{}", b'A\0\0\0\x0d{"is":"done"}', b"A\xff\xff\xff\xff"]
)
def test_a_signer_that_says_nothing_sensible_is_an_error_and_not_a_success(tmp_path: Path, said: bytes) -> None:
    where = places(str(tmp_path / "state"))
    listener = bind(where.sign_socket)

    def speak() -> None:
        for _ in range(2):  # the first one only looks whether somebody is there
            with contextlib.suppress(OSError), listener.accept()[0] as connection:
                connection.send(said, socket.MSG_NOSIGNAL)

    speaker = threading.Thread(target=speak)
    speaker.start()
    with listener:
        with open_door(where) as door, pytest.raises(EvidenceError, match="an answer"):
            door.rotate()
        speaker.join()


def test_an_event_of_the_store_itself_is_signed_for_nobody(tmp_path: Path) -> None:
    door = LocalDoor(places(str(tmp_path / "state")), 1)
    for kind in ("key-rotated", "log-opened", "pruned", "damage", "gap", "disk-full", "spool-trimmed", "nosuch"):
        with pytest.raises(FormatError, match="another kind"):
            door.event(kind, {}, {})


def test_a_request_that_no_statement_could_hold_is_refused_on_this_side(tmp_path: Path) -> None:
    door = LocalDoor(places(str(tmp_path / "state")), 1)
    seen = msgspec.structs.replace(SEEN, labels={f"k{number}": "v" for number in range(65)})
    with pytest.raises(FormatError):
        door.snapshot([collection()], seen, {})
    with pytest.raises(FormatError):
        door.event("heartbeat", {}, {"x": "y" * 70_000})


def test_a_prune_through_the_signer_says_how_many(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with signer(state) as started, open_door(started.places) as door:
        for rows in (1, 2, 3):
            door.snapshot([collection(rows)], SEEN, {})
        assert door.prune(dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=1)) == 2
        assert door.check() == 0


def test_a_path_longer_than_a_socket_address_is_no_obstacle(tmp_path: Path) -> None:
    state = tmp_path / ("x" * 100) / "state"
    state.parent.mkdir(mode=0o700)
    with signer(state) as started, open_door(started.places) as door:
        assert isinstance(door, RemoteDoor)
        assert door.hello().size == 0


def test_a_socket_that_may_not_be_used_is_said_and_not_gone_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("agent.signing.door.connect", refuse)
    with pytest.raises(StateError, match="group evidenced-record"), open_door(places(str(tmp_path / "state"))):
        pass


def test_a_lost_answer_is_asked_for_again_only_where_twice_is_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def hang_up(_door: RemoteDoor, question: Question, _collections: object) -> None:
        asked.append(type(question).__name__)
        raise LostAnswerError("sign.sock", "an answer of the signer", "the end of the connection")

    monkeypatch.setattr(RemoteDoor, "_once", hang_up)
    door = RemoteDoor(places(str(tmp_path / "state")), 1)
    for act in (door.hello, door.flush, door.rotate):
        with pytest.raises(LostAnswerError):
            act()
    with pytest.raises(LostAnswerError):
        door.record("backup-run", {})
    assert asked == ["Hello", "Hello", "Flush", "Flush", "Rotate", "Record"]
