"""Batches written and taken in by hand, as over an air gap."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.agent.command_line import Evidenced
from tests.agent.delivery.batches import Host, host
from tests.agent.delivery.certificates import LOOPBACK, make
from tests.agent.delivery.hostile import hostile
from tests.agent.delivery.test_proxy import connects
from tests.hub.running import TOKEN, RunningHub


@pytest.fixture
def sender(tmp_path: Path) -> Host:
    """Return a host of six entries in three batches."""
    return host(tmp_path, batches=3)


@pytest.fixture
def signed(tmp_path: Path, evidenced: Evidenced) -> Path:
    """Return a state that commands have made."""
    state = tmp_path / "state"
    for _ in range(2):
        assert evidenced("inventory", "--sign", "--table", "users", "--state", state).code == 0
    return state


def test_export_goes_on_where_it_broke_off_and_adds_what_is_new(
    signed: Path, tmp_path: Path, evidenced: Evidenced
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    first = evidenced("export", "--batches", stick, "--state", signed)
    assert (first.code, len(first.lines)) == (0, 1)
    (batch,) = stick.iterdir()
    whole = batch.read_bytes()
    batch.write_bytes(whole[:-100])  # the plug was pulled
    assert evidenced("export", "--batches", stick, "--state", signed).code == 0
    assert batch.read_bytes() == whole
    evidenced("inventory", "--sign", "--table", "users", "--state", signed)
    again = evidenced("export", "--batches", stick, "--state", signed)
    assert [line.endswith("there already") for line in again.lines] == [True, False]
    taken = evidenced("import", stick)
    assert (taken.code, "entries 0 to 3, 2 batches, key SHA256:" in taken.out) == (0, True)


def test_export_since_a_day_begins_with_its_first_entry(signed: Path, tmp_path: Path, evidenced: Evidenced) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    assert (
        evidenced("export", "--batches", stick, "--state", signed, "--since", "2020-01-01").lines[0].endswith("0 to 2")
    )
    (stick / "later").mkdir()
    tomorrow = evidenced("export", "--batches", stick / "later", "--state", signed, "--since", "2999-01-01")
    assert (tomorrow.code, tomorrow.out) == (0, "")


@pytest.mark.parametrize("more", [("-o", "x.tar"), ("--until", "2026-01-01"), ("--org", "x"), ("--overwrite",)])
def test_export_of_batches_takes_no_options_of_a_pack(
    signed: Path, tmp_path: Path, evidenced: Evidenced, more: tuple[str, ...]
) -> None:
    assert evidenced("export", "--batches", tmp_path, "--state", signed, *more).code == 2


def test_export_into_a_folder_that_is_not_there_says_so(signed: Path, tmp_path: Path, evidenced: Evidenced) -> None:
    none = tmp_path / "none"
    ran = evidenced("export", "--batches", none, "--state", signed)
    expected = f"--batches: {none}: expected a folder to write into, found nothing of that name; make one: mkdir"
    assert (ran.code, ran.err) == (3, f"evidenced export: {expected}\n")
    assert not none.exists()
    none.write_text("a file")
    assert "found another kind of file" in evidenced("export", "--batches", none, "--state", signed).err


def test_import_of_what_is_not_there_says_what_to_name(tmp_path: Path, evidenced: Evidenced) -> None:
    none = tmp_path / "none"
    ran = evidenced("import", none)
    expected = f"{none}: expected a batch, or a folder with batches, found nothing of that name; name what evidenced"
    assert ran.code == 3
    assert ran.err.startswith(f"evidenced import: {expected} export --batches")
    none.mkdir()
    assert "found none; name what evidenced export --batches" in evidenced("import", none).err


def test_import_says_what_is_missing_between_batches(sender: Host, evidenced: Evidenced) -> None:
    (sender.outbox / sender.names()[1]).unlink()
    ran = evidenced("import", sender.outbox)
    assert ran.code == 3
    assert "missing  2 entries, 2 to 3" in ran.out


def test_import_finds_a_bad_batch_and_passes_the_others_on(sender: Host, tmp_path: Path, evidenced: Evidenced) -> None:
    middle = sender.outbox / sender.names()[1]
    data = bytearray(middle.read_bytes())
    data[len(data) // 2] ^= 1
    middle.write_bytes(data)
    ran = evidenced("import", sender.outbox, "--into", tmp_path / "into")
    assert ran.code == 1
    assert "bad" in ran.out
    assert len(os.listdir(tmp_path / "into" / sender.log_id)) == 2


def test_import_files_each_log_in_its_own_folder_and_twice_changes_nothing(
    sender: Host, tmp_path: Path, evidenced: Evidenced
) -> None:
    other = host(tmp_path / "other", batches=1)
    into = tmp_path / "into"
    ran = evidenced("import", sender.outbox, other.outbox, "--into", into)
    assert (ran.code, sorted(os.listdir(into))) == (0, sorted([sender.log_id, other.log_id]))
    assert "4 batches new, 0 there already" in ran.out
    assert "0 batches new, 4 there already" in evidenced("import", into, "--into", into).out


def test_a_batch_under_another_name_is_bad(sender: Host, evidenced: Evidenced) -> None:
    first, second = (sender.outbox / name for name in sender.names()[:2])
    first.write_bytes(second.read_bytes())
    ran = evidenced("import", first)
    assert ran.code == 1
    assert "its name says" in ran.out


def test_import_of_nothing_is_said_so(tmp_path: Path, evidenced: Evidenced) -> None:
    assert evidenced("import", tmp_path).code == 3
    assert evidenced("import", tmp_path / "none").code == 3
    assert evidenced("import", tmp_path, "--into", tmp_path, "--hub", "https://hub.example").code == 2


def test_import_forwards_to_a_hub_that_knows_the_key(signed: Path, tmp_path: Path, evidenced: Evidenced) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    evidenced("export", "--batches", stick, "--state", signed)
    hub = RunningHub(tmp_path / "hub").start()
    try:
        url, config = f"http://127.0.0.1:{hub.port}", tmp_path / "agent.toml"
        config.touch()
        (tmp_path / "token").touch(0o600)
        (tmp_path / "token").write_text(TOKEN)
        forward = ("import", stick, "--hub", url, "--config", config)
        stranger = evidenced(*forward)
        assert stranger.code == 3
        assert "must enrol" in stranger.out
        enrol = evidenced(
            "enroll", "--hub", url, "--token-file", tmp_path / "token", "--state", signed, "--config", config
        )
        assert enrol.code == 0
        first, again = evidenced(*forward), evidenced(*forward)
        assert (first.code, again.code) == (0, 0)
        assert "1 batch acknowledged by the hub" in first.out
        assert first.err == ""  # the configuration names the hub and its key
        other = evidenced(*forward, "--proxy", "http://127.0.0.1:3128")
        assert other.code == 2
        assert other.err.startswith("evidenced import: --proxy: expected none, which sink hub is configured with")
        wrong = evidenced(*forward, "--hub-key", "x")
        assert wrong.code == 3
    finally:
        hub.kill()


def test_import_reaches_a_hub_on_the_ways_that_enroll_does(signed: Path, tmp_path: Path, evidenced: Evidenced) -> None:
    """Through a proxy, to a hub of a private authority that wants to see a certificate."""
    authority = make(tmp_path / "authority", common_name="authority")
    server, client = (make(tmp_path / name, LOOPBACK, issuer=authority) for name in ("server", "client"))
    tls = ("--tls-certificate", server.file, "--tls-key", server.key_file, "--client-ca", authority.file)
    stick = tmp_path / "stick"
    for each in (stick, tmp_path / "own", tmp_path / "other"):
        each.mkdir()
    evidenced("export", "--batches", stick, "--state", signed)
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text(TOKEN)
    hub = RunningHub(tmp_path / "hub", *tls).start()
    try:
        with hostile(connects) as proxy:
            way = ["--hub", f"https://127.0.0.1:{hub.port}", "--ca-file", authority.file, "--proxy", proxy.url]
            way += ["--client-certificate", client.file, "--client-key", client.key_file]
            own, other = ("--config", tmp_path / "own/a.toml"), ("--config", tmp_path / "other/a.toml")
            for _, path in (own, other):
                path.touch(0o600)
            enrol = evidenced("enroll", *way, "--token-file", tmp_path / "token", "--state", signed, *own)
            assert enrol.code == 0, enrol.err
            ran = evidenced("import", stick, *way, *other)
            assert (ran.code, "1 batch acknowledged by the hub" in ran.out) == (0, True), ran.err
            assert len(proxy.heard) == 2
            again = ("enroll", *way[:2], "--token-file", tmp_path / "token", "--state", signed, *own)
            same = evidenced(*again, "--proxy", proxy.url)
            assert same.code == 0, same.err
            differs = evidenced(*again, "--ca-file", server.file)
            assert differs.code == 2
            assert f"--ca-file: expected {authority.file}, which sink hub is configured with" in differs.err
            assert evidenced("import", stick, *way[:-4], *other).code == 3, "without a certificate"
    finally:
        hub.kill()


def test_the_logs_of_a_host_that_changed_its_key_are_taken_at_once_whatever_they_are_called(
    tmp_path: Path, evidenced: Evidenced
) -> None:
    """Only the first key was enrolled; the order of names is that of the logs in one of 120 runs."""
    state, stick, config = tmp_path / "state", tmp_path / "stick", tmp_path / "agent.toml"
    stick.mkdir()
    config.touch()
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text(TOKEN)
    hub = RunningHub(tmp_path / "hub").start()
    try:
        url = f"http://127.0.0.1:{hub.port}"
        enrolling = ("enroll", "--hub", url, "--token-file", tmp_path / "token", "--state", state, "--config", config)
        assert evidenced(*enrolling).code == 0
        for _ in range(4):
            assert evidenced("keys", "rotate", "--state", state).code == 0
        assert evidenced("export", "--batches", stick, "--state", state).code == 0
        ran = evidenced("import", stick, "--hub", url, "--config", config)
        assert (ran.code, ran.out.count("1 batch acknowledged by the hub")) == (0, 5), ran.out
        assert "not taken" not in ran.out
    finally:
        hub.kill()
