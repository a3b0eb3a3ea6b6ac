"""What the store found out about itself is told to whoever runs the command, and stands in the log in words."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agent.event_words import in_words
from agent.news import news_of
from evidence.errors import CommitError
from evidence.log import Entry, EvidenceStore
from tests.agent.command_line import Evidenced

USERS = ("inventory", "--table", "users", "--sign")


@pytest.fixture
def signed(evidenced: Evidenced, state: Path) -> Path:
    assert evidenced(*USERS, "--state", state).code == 0
    return state


def fingerprint(evidenced: Evidenced, state: Path) -> str:
    return evidenced("keys", "show", "--state", state).lines[0].split()[1]


def test_a_first_log_and_one_that_goes_on_are_no_news(evidenced: Evidenced, state: Path) -> None:
    for _ in range(2):
        assert evidenced(*USERS, "--state", state).err == ""
    ran = evidenced("keys", "rotate", "--state", state)
    assert (ran.code, ran.err) == (0, "")


def test_a_state_restored_from_a_copy_is_told_with_its_new_key(
    evidenced: Evidenced, signed: Path, tmp_path: Path
) -> None:
    shutil.copytree(signed, tmp_path / "copy")
    old = fingerprint(evidenced, signed)
    ran = evidenced(*USERS, "--state", tmp_path / "copy")
    new = fingerprint(evidenced, tmp_path / "copy")
    assert ran.code == 0
    assert new != old
    first, second = ran.err.splitlines()
    assert first.startswith("! The state was restored from a copy: a new log was begun, evidenced/")
    assert f"a new key, {new}: tell whoever checks your packs" in second
    listing = evidenced("log", "--state", tmp_path / "copy")
    assert "log-opened  the state was restored from a copy; after evidenced/" in listing.out
    assert " of 2 entries" in listing.out
    assert "{" not in listing.out


def test_a_lost_key_is_told_as_damage_and_as_a_new_log(evidenced: Evidenced, signed: Path) -> None:
    (signed / "keys/agent.pem").write_text("no key")
    ran = evidenced(*USERS, "--json", "--state", signed)
    assert ran.code == 0
    assert "! The key or the log was damaged: a new log was begun" in ran.err
    assert "! Damage was found. Key: 1 key lost." in ran.err  # though the command opened the state twice
    assert f"kept in {signed}/quarantine" in ran.err
    assert "damage      key: 1 key lost" in evidenced("log", "--state", signed).out


@pytest.mark.parametrize("secret", [b"", b"short", b"x" * 32, None])
def test_a_lost_secret_is_told_once_and_the_log_goes_on(
    evidenced: Evidenced, signed: Path, secret: bytes | None
) -> None:
    path = signed / "keys/secret"
    path.unlink()
    if secret is not None:
        path.write_bytes(secret)
        path.chmod(0o600)
    ran = evidenced(*USERS, "--json", "--state", signed)
    assert (ran.code, ran.err.splitlines()[0]) == (0, "! Damage was found. Secret: 1 secret lost.")
    assert "a new log was begun" not in ran.err
    assert evidenced(*USERS, "--state", signed).err == ""


def test_key_and_secret_lost_together_are_one_of_each(evidenced: Evidenced, signed: Path) -> None:
    for name in ("agent.pem", "secret"):
        (signed / "keys" / name).write_text("rot")
    ran = evidenced(*USERS, "--json", "--state", signed)
    assert ran.code == 0
    assert "! The key or the log was damaged: a new log was begun" in ran.err
    assert "Key: 1 key lost." in ran.err
    assert "Secret: 1 secret lost." in ran.err


def test_damage_in_older_entries_is_told_with_its_count(evidenced: Evidenced, signed: Path) -> None:
    (segment,) = signed.glob("logs/*/segments/*.seg")
    data = bytearray(segment.read_bytes())
    data[len(data) // 4] ^= 1
    segment.write_bytes(data)
    ran = evidenced(*USERS, "--state", signed)
    assert ran.code == 0
    assert "! Damage was found. Segment: 1 entry lost." in ran.err
    assert "damage" in evidenced("log", "--state", signed).out


def test_an_epoch_of_the_same_key_is_told_without_a_new_one(evidenced: Evidenced, signed: Path) -> None:
    old = fingerprint(evidenced, signed)
    shutil.rmtree(next(signed.glob("logs/*")))
    ran = evidenced(*USERS, "--state", signed)
    assert "! The log was lost: a new log was begun" in ran.err
    assert "The key is the same" in ran.err
    assert fingerprint(evidenced, signed) == old


def test_news_are_told_although_the_inventory_cannot_be_signed(
    evidenced: Evidenced, signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(signed, tmp_path / "copy")
    real = EvidenceStore.append_snapshot

    def append_and_fail(*arguments: object) -> None:
        real(*arguments)  # type: ignore[arg-type]
        raise CommitError("segments", "a file on disk", "no space left on device")

    monkeypatch.setattr(EvidenceStore, "append_snapshot", append_and_fail)
    ran = evidenced(*USERS, "--state", tmp_path / "copy")
    assert ran.code == 3
    assert "! The state was restored from a copy" in ran.err


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"kind": "log-opened", "previous": None, "why": "first"}, "the first log of this state"),
        (
            {"kind": "log-opened", "previous": {"origin": "evidenced/a/1", "root": "x", "size": 1}, "why": "cloned"},
            "the state was made on another machine; after evidenced/a/1 of 1 entry",
        ),
        ({"kind": "damage", "part": "segment", "count": 2}, "segment: 2 entries lost"),
        ({"kind": "damage", "part": "index", "count": 0}, "index: nothing lost, it was made whole again"),
        ({"kind": "key-rotated", "key": "x", "keyid": "SHA256:y", "number": 2}, "key 2 signs from here on: SHA256:y"),
        ({"kind": "pruned", "before": "2026-01-01T00:00:00Z", "blobs": 1}, "1 blob named only before 2026-01-01"),
        ({"kind": "disk-full"}, "the disk is full"),
        (
            {"kind": "gap", "failures": 3, "absence": {"from": "A", "reason": "disk-full", "until": "B"}},
            "disk-full from A to B, 3 entries did not fit",
        ),
        ({"kind": "backup", "note": "done", "absence": None, "size": 3}, "note done, size 3"),
        ({"kind": "log-opened", "previous": 7, "why": {}}, "{}"),
        ({"kind": "damage", "part": None, "count": "x"}, "None"),
    ],
)
def test_each_event_has_words(event: dict[str, object], words: str) -> None:
    assert words in in_words(event)


def test_an_event_that_cannot_be_read_back_is_told_all_the_same(tmp_path: Path) -> None:
    (line,) = news_of([Entry("evidenced/0123456789abcdef/1", 3, "disk-full", "", b"")], None, str(tmp_path))
    assert line.startswith("! The disk of")
