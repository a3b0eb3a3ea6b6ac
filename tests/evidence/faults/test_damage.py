"""S5: bits rot in any file of the state; it is found, kept, mended as far as it can be, and signed for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from evidence import key_file, segment, tree
from evidence.errors import DamageError
from evidence.keys import PrivateKey
from evidence.log import EvidenceStore
from evidence.predicates import Event
from evidence.quarantine import Finding, Quarantine
from evidence.reader import StoredEntry
from evidence.state import open_state
from tests.evidence.faults.injection import copied, fingerprint
from tests.evidence.store_parts import SEEN, START, table, ticking

Damage = Callable[[Path], None]
SMALL_SEGMENTS = 6000


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def flipped_early(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)


def zeroed(path: Path) -> None:
    size = path.stat().st_size
    path.write_bytes(bytes(min(size, 4096)) + path.read_bytes()[4096:])


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def removed(path: Path) -> None:
    path.unlink()


DAMAGES: tuple[Damage, ...] = (flipped, flipped_early, zeroed, halved, emptied, removed)


def opened(state: Path) -> EvidenceStore:
    return EvidenceStore.open(str(state), machine="aa" * 32, clock=ticking())


@pytest.fixture(scope="module")
def aged(memory: Path) -> Path:
    """Return a state with a closed log and one that goes on, of several segments each."""
    state = memory / "aged"
    with pytest.MonkeyPatch.context() as patch, opened(state) as store:
        patch.setattr(segment, "ROLL_BYTES", SMALL_SEGMENTS)
        for at in range(12):
            store.append_snapshot([table("users", b'{"n":%d}' % at), table("groups")], SEEN)
            if at == 5:
                store.rotate(SEEN)
    return state


@pytest.fixture
def state(aged: Path, scratch: Path) -> Path:
    return copied(aged, scratch / "state")


def damaged_then_opened(path: Path, damage: Damage, state: Path) -> list[dict[str, Any]]:
    """Damage a file, let the store look at everything, and return the events it signed."""
    damage(path)
    with opened(state) as store:
        store.append_snapshot([table("after")], SEEN)
        store.check(SEEN)
    before = fingerprint(state)
    with opened(state) as store:
        assert store.check(SEEN) == []
    assert fingerprint(state) == before, "a second restart changes nothing"
    return [each.predicate.event for each in events(state) if each.kind == "damage"]


def events(state: Path) -> list[Event]:
    with EvidenceStore.read(str(state)) as reader:
        said = [entry.statement for log in reader.logs() for entry in reader.entries(log.id)]
    return [each for each in said if isinstance(each, Event)]


def entries(state: Path) -> dict[str, list[StoredEntry]]:
    """Return the entries by log, each log checked against its signed root."""
    with EvidenceStore.read(str(state)) as reader:
        found = {log.id: list(reader.entries(log.id)) for log in reader.logs()}
        for log in reader.logs():
            assert tree.root(each.leaf for each in found[log.id]) == reader.signed_size(log.id).root
    return found


def logs_of(state: Path) -> list[Path]:
    with EvidenceStore.read(str(state)) as reader:
        return [state / "logs" / each.id for each in reader.logs()]


def quarantined(state: Path) -> list[bytes]:
    return [each.read_bytes() for each in (state / "quarantine").iterdir() if each.suffix != ".recorded"]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("log", [0, 1], ids=["closed", "open"])
@pytest.mark.parametrize("at", [0, 1, -1])
def test_a_damaged_segment_costs_no_more_than_what_it_held(state: Path, log: int, at: int, damage: Damage) -> None:
    path = sorted((logs_of(state)[log] / "segments").iterdir())[at]
    was, bytes_before = entries(state), path.read_bytes()
    damage(path)
    damaged = path.read_bytes() if path.exists() else b""
    said = damaged_then_opened(path, lambda _: None, state)
    now = entries(state)
    lost = {(each, entry.sequence) for each in was for entry in now[each] if entry.envelope is None}
    for name, before in was.items():
        assert [each.leaf for each in now[name][: len(before)]] == [each.leaf for each in before]
        kept = [each for each in now[name][: len(before)] if each.envelope is not None]
        assert kept == [each for each in before if (name, each.sequence) not in lost]
    held = bytes_before.count(b'"payloadType"')
    assert len(lost) <= (1 if damage in (flipped, flipped_early) else held)
    assert [(each["part"], each["count"]) for each in said] == [("segment", len(lost))]
    assert not damaged or damaged in quarantined(state)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_segment_and_the_index_gone_bad_together_are_told_from_a_log_that_can_go_on(
    state: Path, damage: Damage
) -> None:
    (state / "index.sqlite").unlink()
    path = min((logs_of(state)[1] / "segments").iterdir())
    damage(path)
    with opened(state) as store:
        again = store.append_snapshot([table("after")], SEEN)
    assert again.sequence >= 1
    last = [each for each in events_readable(state) if each.kind == "log-opened"][-1]
    if damage is not flipped_early:  # the header holds nothing that its name does not say
        assert last.predicate.event["why"] == "damaged"


def events_readable(state: Path) -> list[Event]:
    """Return the events of the newest log."""
    with EvidenceStore.read(str(state)) as reader:
        said = [entry.statement for entry in reader.entries(reader.logs()[-1].id)]
    return [each for each in said if isinstance(each, Event)]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["checkpoint", "checkpoint.sshsig"])
@pytest.mark.parametrize("log", [0, 1], ids=["closed", "open"])
def test_a_damaged_checkpoint_is_there_again(state: Path, log: int, name: str, damage: Damage) -> None:
    path = logs_of(state)[log] / name
    was = entries(state)
    said = damaged_then_opened(path, damage, state)
    now = entries(state)
    assert all(now[each][: len(was[each])] == was[each] for each in was)
    if (name, log) != ("checkpoint.sshsig", 1):  # the next entry signs that one anew anyway
        assert [(each["part"], each["count"]) for each in said] == [("checkpoint", 0)]
    with EvidenceStore.read(str(state)) as reader:
        for each in reader.logs():
            reader.sshsig(each.id)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_costs_nothing(state: Path, damage: Damage) -> None:
    was = entries(state)
    said = damaged_then_opened(state / "index.sqlite", damage, state)
    now = entries(state)
    assert all(now[each][: len(was[each])] == was[each] for each in was)
    assert {each["part"] for each in said} <= {"index"}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_blob_is_reported_and_the_others_are_delivered(state: Path, damage: Damage) -> None:
    blobs = sorted(each for each in (state / "blobs").rglob("*") if each.is_file())
    found = [each for each in blobs if b'"n":3' in inflated_or_empty(each)]
    was = {each: each.read_bytes() for each in blobs}
    said = damaged_then_opened(found[0], damage, state)
    assert [(each["part"], each["count"]) for each in said] == [("blob", 1)]
    assert all(each.read_bytes() == data for each, data in was.items() if each != found[0])
    with EvidenceStore.read(str(state)) as reader:
        assert reader.blob(found[0].name) is None


def inflated_or_empty(path: Path) -> bytes:
    with EvidenceStore.read(str(path.parents[2])) as reader:
        return reader.blob(path.name) or b""


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_private_key_is_replaced_and_the_new_log_names_the_old(state: Path, damage: Damage) -> None:
    was = entries(state)
    said = damaged_then_opened(state / "keys" / "agent.pem", damage, state)
    now = entries(state)
    assert len(now) == len(was) + 1
    assert all(now[each] == was[each] for each in was)
    assert [(each["part"], each["count"]) for each in said] == [("key", 1)]
    opening = [each.predicate.event for each in events(state) if each.kind == "log-opened"][-1]
    assert opening["why"] == "damaged"
    assert opening["previous"]["size"] == len(was[logs_of(state)[1].name])


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["agent.pub", "retired"])
def test_a_damaged_public_key_is_there_again(state: Path, name: str, damage: Damage) -> None:
    path = state / "keys" / name
    path = next(path.iterdir()) if path.is_dir() else path
    was = path.read_bytes()
    said = damaged_then_opened(path, damage, state)
    assert path.read_bytes() == was
    assert {(each["part"], each["count"]) for each in said} <= {("key", 0)}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_identity_is_made_again_from_the_key_and_its_log(state: Path, damage: Damage) -> None:
    was = entries(state)
    said = damaged_then_opened(state / "keys" / "identity.json", damage, state)
    assert list(entries(state)) == list(was)
    assert [(each["part"], each["count"]) for each in said] == [("identity", 0)] * (damage is not removed)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_mark_is_made_again_and_its_log_goes_on(state: Path, damage: Damage) -> None:
    was = entries(state)
    (path,) = logs_of(state)[1].glob("mark.*")
    said = damaged_then_opened(path, damage, state)
    assert list(entries(state)) == list(was)
    assert [(each["part"], each["count"]) for each in said] == [("identity", 0)] * (damage is not removed)
    assert len(list(logs_of(state)[1].glob("mark.*"))) == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_secret_is_replaced_and_that_is_said(state: Path, damage: Damage) -> None:
    was = entries(state)
    damage(state / "keys" / "secret")
    opened(state).close()  # as a command does, which has to know the secret to say which machine this is
    said = damaged_then_opened(state, lambda _: None, state)
    assert list(entries(state)) == list(was)
    assert [(each["part"], each["count"]) for each in said] == [("secret", 1)]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("names", [("agent.pem",), ("secret",), ("agent.pem", "secret")])
def test_what_is_lost_is_counted_once_however_often_the_state_is_opened_before_that_is_signed(
    state: Path, names: tuple[str, ...], damage: Damage
) -> None:
    for name in names:
        damage(state / "keys" / name)
    for _ in range(3):
        opened(state).close()
    said = damaged_then_opened(state, lambda _: None, state)
    assert sorted((each["part"], each["count"]) for each in said) == [
        (name.removeprefix("agent.").replace("pem", "key"), 1) for name in names
    ]


def test_what_is_missing_is_reported_again_only_if_more_of_it_is_lost(scratch: Path) -> None:
    quarantine = Quarantine(open_state(str(scratch / "quarantine"), create=True))
    for count, reports in ((0, 1), (0, 1), (1, 2), (1, 2)):
        quarantine.note(Finding(part="blob", where="blobs/00/00", found="no file", count=count, names=("00",)))
        assert len(quarantine.unrecorded()) == reports
    quarantine.note(Finding(part="blob", where="blobs/00/00", found="no file", count=1, names=("01",)))
    assert len(quarantine.unrecorded()) == 3


def test_another_key_in_place_of_a_lost_one_is_no_second_loss(state: Path) -> None:
    emptied(state / "keys" / "agent.pem")
    opened(state).close()
    key_file.store(str(state / "keys" / "agent.pem"), PrivateKey.generate())
    said = damaged_then_opened(state, lambda _: None, state)
    assert [(each["part"], each["count"]) for each in said] == [("key", 1)]


def test_an_entry_is_lost_once_though_its_mark_is_lost_again(state: Path) -> None:
    path = min((logs_of(state)[0] / "segments").iterdir())
    held = path.read_bytes().count(b'"payloadType"')
    (first,) = damaged_then_opened(path, flipped, state)
    _, second = damaged_then_opened(path, removed, state)
    assert (first["count"], second["count"]) == (1, held - 1)
    reports = [json.loads(each.read_bytes()) for each in sorted((state / "quarantine").glob("*.recorded"))]
    assert [len(each["names"]) for each in reports] == [1, held], "the event that named it may be lost with it"


def test_an_entry_is_counted_anew_if_its_mark_alone_is_lost_since_a_count_of_0_says_that_nothing_is(
    state: Path,
) -> None:
    path = min((logs_of(state)[0] / "segments").iterdir())
    (first,) = damaged_then_opened(path, removed, state)
    _, second = damaged_then_opened(path, removed, state)
    assert first["count"] == second["count"] > 0


@pytest.mark.parametrize("damage", [flipped, removed])
def test_an_entry_is_counted_once_though_its_segment_could_not_be_written_anew_at_once(
    state: Path, damage: Damage, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(min((logs_of(state)[0] / "segments").iterdir()))
    with monkeypatch.context() as patch, opened(state) as store:
        patch.setattr(segment, "frame", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            store.check(SEEN)
    (said,) = damaged_then_opened(state, lambda _: None, state)
    reports = [json.loads(each.read_bytes()) for each in (state / "quarantine").glob("*.recorded")]
    assert said["count"] == len({name for each in reports for name in each["names"]}) > 0


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["lock", "reserve"])
def test_files_that_hold_nothing_may_rot(state: Path, name: str, damage: Damage) -> None:
    path = state / name
    if path.stat().st_size:
        damage(path)
    was = entries(state)
    with opened(state) as store:
        store.append_snapshot([table("after")], SEEN)
    now = entries(state)
    assert all(now[each][: len(was[each])] == was[each] for each in was)


def test_a_blob_that_was_pruned_is_not_reported_as_missing(state: Path) -> None:
    with opened(state) as store:
        assert store.prune(START + timedelta(days=1), SEEN)
        assert store.check(SEEN) == []


def test_everything_that_can_be_rebuilt_may_be_removed_at_once(state: Path) -> None:
    was = entries(state)
    for name in ("index.sqlite", "lock", "reserve", "keys/agent.pub"):
        (state / name).unlink()
    shutil.rmtree(state / "keys" / "retired")
    with opened(state) as store:
        assert {each.kind for each in store.check(SEEN)} <= {"damage"}
    now = entries(state)
    assert all(now[each][: len(was[each])] == was[each] for each in was)


def test_a_reader_names_the_place_of_damage_and_writes_nothing(state: Path) -> None:
    log = logs_of(state)[1]
    path = sorted((log / "segments").iterdir())[1]
    zeroed(path)
    before = fingerprint(state)
    with EvidenceStore.read(str(state)) as reader, pytest.raises(DamageError, match=f"{path.name}: expected entry"):
        list(reader.entries(log.name))
    assert fingerprint(state) == before
