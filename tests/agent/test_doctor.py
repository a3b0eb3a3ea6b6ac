"""What keeps a host from collecting or delivering is named, with what to do; what is in order is no complaint."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from agent import users
from agent.commands.doctor import verdict
from agent.configuration.model import HttpPut, Hub
from agent.delivery.budget import Limits
from agent.delivery.progress import Done, Parked, Progress, set_pin
from agent.doctor.check import Check, fine, note, wrong
from agent.doctor.folders import check_folders, check_users
from agent.doctor.hub_answer import judge_answer
from agent.doctor.key import check_key
from agent.doctor.service import check_clock, check_sockets, judge_supervision, listening_now, listening_sockets
from agent.doctor.sinks import check_remote, judge_progress
from agent.doctor.state import check_log, check_outbox, check_quarantine
from agent.places import SYSTEM, Places, places
from agent.supervision import Process, Supervision
from evidence import key_file
from evidence.keys import NOTE_COSIGNATURE, PrivateKey
from tests.agent.command_line import Evidenced
from tests.agent.delivery.certificates import LOOPBACK, Made, make
from tests.agent.delivery.hostile import answers, hostile, is_silent

DAY = dt.timedelta(days=1)
QUICK = Limits(connect_s=0.5, connect_all_s=1, read_s=0.5, total_s=2)
KEY = PrivateKey(bytes(range(32))).public.vkey("hub.example", NOTE_COSIGNATURE)
OTHER = PrivateKey(bytes(range(1, 33))).public.vkey("hub.example", NOTE_COSIGNATURE)


def said(**changes: object) -> bytes:
    """Return what a hub says of itself."""
    usual = {"max_batch": 1, "max_chunk": 1, "name": "hub.example", "nonce": "n", "protocol": 1, "vkey": KEY}
    return json.dumps({**usual, **changes}).encode()


def only(checks: Iterator[Check], subject: str) -> Check:
    """Return the one check about a subject."""
    (found,) = [each for each in checks if each.subject == subject]
    return found


# ---- the command ----


def test_a_fresh_host_has_nothing_wrong_and_is_told_what_is_missing(evidenced: Evidenced, state: Path) -> None:
    told = evidenced("doctor", "--state", state, "--config", config(state.parent, ""))
    assert told.code == 0, told.out
    notes = sum(line.startswith("! ") for line in told.lines) - 1
    assert told.lines[-1] == f"! nothing is wrong, {notes} things to know"
    assert "! key: there is none yet; the first signature makes it" in told.lines
    assert any(line.startswith("! log: there is none yet") for line in told.lines)
    assert not state.exists(), "a look must not make a state"


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ([fine("a", "b")], "✓ nothing is wrong"),
        ([fine("a", "b"), note("supervisor", "does not run")], "! nothing is wrong, 1 thing to know"),
        ([note("a", "b"), wrong("c", "d", "e")], "✗ 1 thing wrong"),
    ],
)
def test_the_last_line_contradicts_none_above_it(found: list[Check], line: str) -> None:
    assert verdict(found) == line


def config(folder: Path, text: str) -> Path:
    file = folder / "agent.toml"
    file.write_text(text)
    file.chmod(0o644)
    return file


def test_all_that_is_wrong_is_told_in_json_too(evidenced: Evidenced, state: Path) -> None:
    file = config(
        state.parent, 'organisatio = "x"\n[[sinks]]\nname = "stick"\ntype = "directory"\npath = "/none/here"\n'
    )
    told = evidenced("doctor", "--json", "--state", state, "--config", file)
    assert told.code == 3
    lines = [json.loads(line) for line in told.lines]
    wrong = {each["subject"]: each for each in lines if each["state"] == "wrong"}
    assert set(wrong) == {"configuration", "sink stick: folder"}
    assert "did you mean organisation" in wrong["configuration"]["found"]
    assert all(each["step"] for each in wrong.values())


def test_a_signed_log_is_found_whole(evidenced: Evidenced, state: Path, image: Path) -> None:
    assert evidenced("inventory", "--sign", "--root", image, "--table", "users", "--state", state).code == 0
    told = evidenced("doctor", "--state", state, "--config", config(state.parent, ""))
    assert told.code == 0, told.out
    assert any(line.startswith("✓ log: 2 entries in 1 log") for line in told.lines)
    assert any(line.startswith("✓ key: SHA256:") for line in told.lines)
    assert any(line.startswith("✓ folder state:") for line in told.lines)


# ---- folders and files ----


@pytest.fixture
def log(evidenced: Evidenced, state: Path, image: Path) -> Path:
    evidenced("inventory", "--sign", "--root", image, "--table", "users", "--state", state)
    return state


@pytest.mark.parametrize(
    ("story", "spoil", "expected"),
    [
        ("open folder", lambda state: state.chmod(0o755), "has mode 0755; chmod 0700"),
        ("open key", lambda state: (state / "keys/agent.pem").chmod(0o666), "1 file that others own or reach"),
        ("a link", lambda state: (state / "extra").symlink_to("/etc/passwd"), "1 file that others own or reach"),
        ("a pipe", lambda state: os.mkfifo(state / "pipe", 0o600), "1 file that others own or reach"),
    ],
)
def test_what_others_could_reach_is_named(
    log: Path, story: str, spoil: Callable[[Path], object], expected: str
) -> None:
    spoil(log)
    found = only(check_folders(places(str(log))), "folder state")
    assert found.state == "wrong", story
    assert expected in str(found)


@pytest.mark.needs_root
def test_a_file_of_another_owner_is_named(log: Path) -> None:
    os.chown(log / "keys/agent.pem", 12345, 12345)
    found = only(check_folders(places(str(log))), "folder state")
    assert found.state == "wrong"
    assert "agent.pem" in found.found


def test_a_state_that_is_no_folder_is_named(state: Path) -> None:
    state.write_text("")
    assert "is no folder" in only(check_folders(places(str(state))), "folder state").found


# ---- key, log, quarantine, outbox ----


def replaced(key: Path) -> None:
    key.unlink()
    key_file.store(str(key), PrivateKey.generate())


@pytest.mark.parametrize(
    ("story", "spoil", "expected"),
    [
        ("garbage", lambda key: key.write_text("rot"), "expected"),
        ("none", lambda key: key.unlink(), "found no file; the next signature makes a new one and signs that"),
        ("another", replaced, "found another key; the next signature makes a new one"),
        (
            "open",
            lambda key: key.chmod(0o640),
            "expected mode 0600, found 0640; look who could have used it, then: chmod",
        ),
        ("a link", lambda key: (key.rename(key.with_name("x")), key.symlink_to("x")), "expected no symbolic link"),
    ],
)
def test_what_is_wrong_with_the_private_key_is_named(
    log: Path, evidenced: Evidenced, story: str, spoil: Callable[[Path], object], expected: str
) -> None:
    key = log / "keys/agent.pem"
    spoil(key)
    told = evidenced("doctor", "--state", log, "--config", config(log.parent, ""))
    (line,) = (each for each in told.lines if "✗ key: " in each)
    assert line.startswith(f"✗ key: {key}: "), story
    assert expected in line
    assert told.code == 3


def test_a_key_whose_log_is_not_remembered_is_fine(log: Path) -> None:
    (log / "keys/identity.json").unlink()
    assert check_key(places(str(log))).state == "fine"


@pytest.mark.needs_root
def test_a_user_who_may_not_look_at_the_key_is_told_so(log: Path) -> None:
    os.chown(log, 12345, 12345)
    found = check_key(places(str(log)))
    assert (found.state, found.found) == ("note", "this user cannot look at it")


def test_a_user_who_may_not_look_at_the_log_is_told_so(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.doctor.state.os.access", lambda _path, _mode: False)
    assert only(check_log(places(str(log))), "log").state == "note"


def test_a_log_without_its_checkpoint_is_named(log: Path) -> None:
    (checkpoint,) = log.glob("logs/*/checkpoint")
    checkpoint.write_bytes(b"nonsense")
    assert only(check_log(places(str(log))), "log").state == "wrong"


def test_an_entry_from_the_future_shows_that_the_clock_was_put_back(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.doctor.state.time.time", lambda: 1_700_000_000.0)
    found = only(check_log(places(str(log))), "log")
    assert found.state == "wrong"
    assert "ahead of the clock" in found.found


@pytest.mark.parametrize(
    ("names", "state_word"),
    [
        ([], "fine"),
        (["0001.recorded", "0001.000000000000.seg"], "note"),
        (["0001.recorded", "0002.finding"], "wrong"),
    ],
)
def test_quarantine_is_told_by_whether_the_log_tells_of_it(log: Path, names: list[str], state_word: str) -> None:
    for name in names:
        (log / "quarantine" / name).write_text("")
    assert only(check_quarantine(places(str(log))), "quarantine").state == state_word


def batch(folder: Path, age_s: float, size: int) -> None:
    """Put a file with the name of a batch into an outbox."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "0123456789abcdef-1-000000000000-000000000005.tar.gz"
    file.write_bytes(b"x" * size)
    moment = dt.datetime.now(dt.timezone.utc).timestamp() - age_s
    os.utime(file, (moment, moment))


@pytest.mark.parametrize(
    ("age_s", "size", "has_sink", "state_word", "text"),
    [
        (60, 100, True, "fine", "1 batch, 0 KiB, the oldest 1 min old"),
        (60, 100, False, "note", "no sink is configured"),
        (90_000, 100, True, "wrong", "the oldest 1 d old"),
        (60, 950, True, "wrong", "near its limit"),
    ],
)
def test_what_waits_is_judged_by_age_and_room(
    state: Path, age_s: float, size: int, has_sink: bool, state_word: str, text: str
) -> None:
    where = places(str(state))
    batch(Path(where.outbox), age_s, size)
    found = only(check_outbox(where, 1000, has_sink=has_sink), "outbox")
    assert found.state == state_word
    assert text in str(found)


def test_files_that_were_put_aside_are_named_until_somebody_has_looked(state: Path) -> None:
    where = places(str(state))
    batch(Path(where.outbox), 60, 100)
    (name,) = os.listdir(where.outbox)
    said = []
    for aside in (f"{name}.damaged", f"{name}.damaged.2"):
        Path(where.outbox, aside).touch()
        said.append([str(each) for each in check_outbox(where, 1000, has_sink=True)])
    assert [len(each) for each in said] == [2, 2]
    assert f"1 file that is no sound batch, kept as {name}.damaged" in said[0][0]
    assert "2 files that are no sound batches" in said[1][0]
    assert "remove" in said[1][0]


# ---- sockets, supervisor, clock ----


def test_a_socket_that_nobody_listens_at_is_named(tmp_path: Path) -> None:
    where = places(str(tmp_path / "s"))
    os.makedirs(where.run)
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(where.upload_socket)
    found = {each.subject: each for each in check_sockets(where, frozenset({"/elsewhere/upload.sock"}))}
    assert found["socket upload"].state == "wrong"
    assert "nobody listens" in found["socket upload"].found
    assert found["socket sign"].state == "note"


def test_the_signer_is_asked_and_the_uploader_is_not_woken(tmp_path: Path) -> None:
    where = places(str(tmp_path / "s"))
    os.makedirs(where.run)
    os.chmod(where.state, 0o700)
    command = [sys.executable, "-m", "agent", "_sign", "--state", where.state, "--bind"]
    with socket.socket(socket.AF_UNIX) as uploader, subprocess.Popen(command) as signer:
        uploader.bind(where.upload_socket)
        uploader.listen()
        try:
            until(lambda: where.sign_socket in listening_now())
            found = {each.subject: each for each in check_sockets(where, listening_now())}
        finally:
            signer.terminate()
        uploader.settimeout(0)
        with pytest.raises(BlockingIOError):
            uploader.accept()
    assert [str(each) for each in found.values() if each.state != "fine"] == []
    assert set(found) == {"socket sign", "signer", "socket upload"}
    assert found["signer"].found == "answers, no log yet, 0 entries"


def until(happened: Callable[[], bool]) -> None:
    """Wait for something of another process that tells nobody when it is done."""
    waiter = subprocess.Popen(["sleep", "10"])
    try:
        while not happened():
            assert waiter.poll() is None, "expected it within 10 s"
    finally:
        waiter.kill()
        waiter.wait()


def test_a_socket_that_was_bound_through_its_folder_is_heard(tmp_path: Path) -> None:
    where = places(str(tmp_path / "s"))
    os.makedirs(where.run)
    folder = os.open(where.run, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{folder}/upload.sock")
        listener.listen()
        found = {each.subject: each for each in check_sockets(where, listening_now())}
    os.close(folder)
    assert found["socket upload"].state == "fine"


def test_long_and_odd_lines_of_the_kernel_are_read() -> None:
    text = (
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        "0000: 00000002 00000000 00010000 0001 01 123 /run/evidenced/sign.sock\n"
        "0000: 00000002 00000000 00000000 0001 01 124 /run/connected.sock\n"
        "0000: 00000002 00000000 00010000 0001 01 125 /with a space\n"
        "0000: 00000003 00000000 00000000 0001 03 126\n"
    )
    assert listening_sockets(text) == {"/run/evidenced/sign.sock", "/with a space"}


@given(st.text(max_size=300))
def test_any_text_in_place_of_the_kernels_is_read(text: str) -> None:
    listening_sockets(text)


def supervision(**changes: object) -> list[Check]:
    said = Supervision(pid=77)
    for name, value in changes.items():
        setattr(said, name, value)
    return list(judge_supervision(said))


def test_a_supervisor_that_complains_of_nothing_is_fine() -> None:
    (found,) = supervision()
    assert (found.state, found.found) == ("fine", "runs as 77, 0 tables planned")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"plan_problem": "found 2 problems\x1b"}, "found 2 problems\\x1b"),
        ({"held_s": 600.0}, "nothing can be signed"),
        (
            {"stuck": [Process("stuck", 78, 600.0, ("packages",))]},
            "process 78 hangs in the kernel, with table packages",
        ),
        ({"failing": [Process("sign", 0, 7.0)]}, "sign breaks off when it is started, last 7 s ago"),
    ],
)
def test_what_the_supervisor_complains_about_is_wrong(changes: dict[str, object], text: str) -> None:
    found = [each for each in supervision(**changes) if each.state == "wrong"]
    assert [text in each.found for each in found] == [True]


def test_a_pause_is_told_without_alarm() -> None:
    assert [(each.subject, each.state) for each in supervision(paused="cpu")][1:] == [("schedule", "note")]


@pytest.mark.parametrize(
    ("there", "state_word"),
    [
        ((), "note"),
        (("evidenced", "evidenced-collect"), "wrong"),
        (("evidenced", "evidenced-collect", "evidenced-upload", "evidenced-record"), "fine"),
    ],
)
def test_the_services_users_are_all_there_or_none(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], state_word: str
) -> None:
    monkeypatch.setattr(users, "user_id", lambda name: 1 if name in there else None)
    monkeypatch.setattr(users, "group_id", lambda name: 1 if name in there else None)
    (found,) = check_users(SYSTEM)
    assert found.state == state_word


@pytest.mark.needs_root
def test_each_folder_of_the_service_has_an_owner_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = {"evidenced": 12001, "evidenced-upload": 12002, "evidenced-collect": 12003}
    monkeypatch.setattr(users, "user_id", ids.get)
    monkeypatch.setattr(users, "group_id", ids.get)
    monkeypatch.setattr(Places, "system", True)
    where = Places(*(str(tmp_path / name) for name in ("state", "outbox", "upload", "cache", "run")))
    modes = {"state": (12001, 12001, 0o700), "outbox": (12001, 12002, 0o2750), "upload": (12002, 12002, 0o700)}
    for name, (user, group, mode) in {**modes, "cache": (12003, 12003, 0o700)}.items():
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, user, group)
        (tmp_path / name).chmod(mode)
    (tmp_path / "cache/readings").touch(0o600)  # root's, as the supervisor is without systemd
    assert [each.state for each in check_folders(where)] == ["fine"] * 4
    batch(tmp_path / "outbox", 0, 0)
    (waiting,) = (tmp_path / "outbox").iterdir()
    for user, group, mode, state in (
        (12001, 12002, 0o640, "fine"),
        (12001, 12002, 0o600, "wrong"),
        (12001, 12001, 0o640, "wrong"),
        (0, 12002, 0o640, "wrong"),
    ):
        os.chown(waiting, user, group)
        waiting.chmod(mode)
        outbox = list(check_folders(where))[1]
        assert outbox.state == state
    assert outbox.step.startswith("chown evidenced:evidenced-upload and chmod 0640")
    (tmp_path / "outbox").chmod(0o750)
    assert list(check_folders(where))[1].step == f"chmod 2750 {where.outbox}"
    os.chown(tmp_path / "outbox", 12001, 12001)
    os.chown(tmp_path / "cache", 0, 0)
    (tmp_path / "upload").chmod(0o755)
    wrong = {each.subject: each for each in check_folders(where) if each.state == "wrong"}
    assert set(wrong) == {"folder outbox", "folder cache", "folder upload"}
    assert wrong["folder outbox"].step.startswith("chgrp -R evidenced-upload")
    assert wrong["folder cache"].step.startswith("chown -R evidenced-collect")


def test_a_supervisor_that_says_nothing_yet_is_asked_again() -> None:
    assert [each.state for each in judge_supervision(None)] == ["note"]


@pytest.mark.parametrize(
    ("now", "disciplined", "state_word"),
    [
        (1_800_000_000, True, "fine"),
        (1_800_000_000, False, "note"),
        (1_800_000_000, None, "note"),
        (0, True, "wrong"),
        (-(10**10), True, "wrong"),
        (5 * 10**9, True, "wrong"),
        (10**30, True, "wrong"),
    ],
)
def test_a_clock_is_believed_within_reason(now: float, disciplined: bool | None, state_word: str) -> None:
    assert check_clock(now, disciplined=disciplined).state == state_word


# ---- sinks ----


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("tls") / "authority", common_name="authority", ends=90 * DAY)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, authority: Made) -> Made:
    return make(tmp_path_factory.mktemp("tls") / "good", LOOPBACK, issuer=authority, ends=60 * DAY)


def look(sink: HttpPut | Hub, state: Path) -> dict[str, Check]:
    """Return the steps of the way to a sink, by what they are."""
    return {each.subject.partition(": ")[2]: each for each in check_remote(sink, places(str(state)), QUICK)}


def test_a_hub_that_is_the_pinned_one_is_fine_at_each_step(authority: Made, good: Made, state: Path) -> None:
    with hostile(answers(200, said()), context=good.serving()) as server:
        pin = (hashlib.sha256(good.der).hexdigest(),)
        found = look(Hub(name="hub", url=server.url, ca_file=authority.file, vkey=KEY, pin_sha256=pin), state)
        assert [each.line for each in server.heard] == ["GET /v1/hub HTTP/1.1"]
    assert {name: each.state for name, each in found.items()} == dict.fromkeys(("dns", "tcp", "tls", "hub"), "fine")
    assert "TLSv1.3, certificate good for 59 d, as pinned" in found["tls"].found


def test_the_key_that_enrolment_pinned_counts(authority: Made, good: Made, state: Path) -> None:
    where = places(str(state))
    set_pin(where.upload, "hub", OTHER)
    with hostile(answers(200, said()), context=good.serving()) as server:
        found = look(Hub(name="hub", url=server.url, ca_file=authority.file), state)
    assert "another key than the one that is pinned" in found["hub"].found


def test_a_store_is_reached_and_not_asked_for_anything(authority: Made, good: Made, state: Path) -> None:
    with hostile(answers(200), context=good.serving()) as server:
        found = look(HttpPut(name="store", url=server.url, ca_file=authority.file), state)
        assert server.heard == []
    assert {name: each.state for name, each in found.items()} == dict.fromkeys(("dns", "tcp", "tls"), "fine")


@pytest.mark.parametrize(
    ("story", "names", "ends", "own_authority", "text"),
    [
        ("expired", [LOOPBACK], -DAY / 2, True, "certificate has expired"),
        ("another name", [x509.DNSName("other.example")], DAY, True, "ip address mismatch"),
        ("of nobody we know", [LOOPBACK], DAY, False, "unable to get local issuer certificate"),
    ],
)
def test_a_certificate_that_does_not_hold_is_named_and_nothing_is_sent(
    tmp_path: Path,
    authority: Made,
    good: Made,
    state: Path,
    story: str,
    names: list[x509.GeneralName],
    ends: dt.timedelta,
    own_authority: bool,
    text: str,
) -> None:
    bad = make(tmp_path / "bad", *names, issuer=authority, ends=ends)
    ca_file = authority.file if own_authority else good.file
    with hostile(answers(200, said()), context=bad.serving()) as server:
        found = look(Hub(name="hub", url=server.url, ca_file=ca_file, vkey=KEY), state)
        assert server.heard == []
    assert found["tls"].state == "wrong", story
    assert text in found["tls"].found
    assert "hub" not in found


def test_a_self_signed_certificate_is_named(tmp_path: Path, authority: Made, state: Path) -> None:
    alone = make(tmp_path / "alone", LOOPBACK)
    with hostile(answers(200), context=alone.serving()) as server:
        found = look(Hub(name="hub", url=server.url, ca_file=authority.file), state)
    assert "self-signed certificate" in found["tls"].found.replace("self signed", "self-signed")


def test_another_pin_is_named(authority: Made, good: Made, state: Path) -> None:
    with hostile(answers(200), context=good.serving()) as server:
        found = look(Hub(name="hub", url=server.url, ca_file=authority.file, pin_sha256=("0" * 64,)), state)
    assert "pinned" in found["tls"].found


def test_a_certificate_that_soon_ends_is_told_in_time(tmp_path: Path, authority: Made, state: Path) -> None:
    soon = make(tmp_path / "soon", LOOPBACK, issuer=authority, ends=3 * DAY)
    with hostile(answers(200), context=soon.serving()) as server:
        found = look(HttpPut(name="store", url=server.url, ca_file=authority.file), state)
    assert (found["tls"].state, found["tls"].found) == ("note", "TLSv1.3, certificate good for 2 d")


def test_nobody_at_the_port_is_named(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = look(Hub(name="hub", url=f"http://127.0.0.1:{port}"), state)
    assert (found["tcp"].state, "connection refused" in found["tcp"].found) == ("wrong", True)


def test_a_name_that_nobody_knows_is_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    found = look(Hub(name="hub", url="https://hub.invalid"), state)
    assert list(found) == ["dns"]
    assert "name or service not known" in found["dns"].found


def test_a_server_that_says_nothing_costs_seconds_only(state: Path) -> None:
    with hostile(is_silent) as server:
        found = look(Hub(name="hub", url=server.url), state)
    assert found["hub"].state == "wrong"
    assert "silence" in found["hub"].found


def test_a_file_that_is_missing_is_a_wrong_setting(state: Path) -> None:
    with hostile(answers(200)) as server:
        url = server.url.replace("http:", "https:")
        found = look(Hub(name="hub", url=url, ca_file="/none/ca.pem"), state)
    assert found["tls"].state == "wrong"
    assert "ca_file /none/ca.pem" in found["tls"].found


@pytest.mark.parametrize(
    ("status_code", "body", "pinned", "state_word", "text"),
    [
        (200, said(), KEY, "fine", "its key as pinned"),
        (200, said(), None, "note", "evidenced enroll"),
        (200, said(vkey=OTHER), KEY, "wrong", "another key"),
        (200, said(protocol=2), KEY, "wrong", "protocol"),
        (200, said(vkey="x"), KEY, "wrong", "something else"),
        (200, b"<html>Log in to the guest network</html>", KEY, "wrong", "a portal may answer"),
        (200, b"", KEY, "wrong", "something else"),
        (200, b"[]", KEY, "wrong", "something else"),
        (503, said(), KEY, "wrong", "found 503"),
    ],
)
def test_a_hubs_word_is_held_against_its_key(
    status_code: int, body: bytes, pinned: str | None, state_word: str, text: str
) -> None:
    found = judge_answer("hub", status_code, body, pinned)
    assert found.state == state_word
    assert text in str(found)


@given(st.binary(max_size=200))
def test_any_bytes_in_place_of_a_hubs_word_are_judged(body: bytes) -> None:
    assert judge_answer("hub", 200, body, KEY).state == "wrong"


@pytest.mark.parametrize(
    ("progress", "state_word", "text"),
    [
        (Progress(), "fine", "nothing was delivered yet"),
        (Progress(last_success="2027-01-15T07:00:00Z"), "fine", "last receipt 1 h ago"),
        (Progress(last_success="nonsense"), "fine", "nothing was delivered yet"),
        (Progress(done={"b": Done(sha256="0a" * 32)}), "note", "of 1 delivery the signer does not know yet"),
        (Progress(done={"b": Done(sha256="0a" * 32, told=True)}), "fine", "nothing was delivered yet"),
        (Progress(state="retry", failures=3, reason="silence"), "note", "3 failures: silence; next try in 0 s"),
        (Progress(state="held", reason="a token\x1b[2J"), "wrong", "held: a token\\x1b[2J"),
        (
            Progress(parked={"b": Parked(stamp="0", reason="422 batch", since="2027-01-15T07:00:00Z")}),
            "wrong",
            "1 refusal: 422 batch",
        ),
    ],
)
def test_what_the_uploader_noted_is_told(progress: Progress, state_word: str, text: str) -> None:
    now = dt.datetime(2027, 1, 15, 8, tzinfo=dt.timezone.utc).timestamp()
    found = judge_progress("sink", progress, now)
    assert found.state == state_word
    assert text in found.found


def test_looking_writes_nothing(log: Path, evidenced: Evidenced) -> None:
    def everything() -> dict[str, bytes]:
        return {str(each): each.read_bytes() for each in sorted(log.rglob("*")) if each.is_file()}

    before = everything()
    evidenced("doctor", "--state", log, "--config", config(log.parent, ""))
    assert everything() == before
    with contextlib.closing(sqlite3.connect(f"file:{log}/index.sqlite?mode=ro", uri=True)) as index:
        assert index.execute("pragma quick_check").fetchone()
