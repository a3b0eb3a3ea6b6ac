"""S6, S7, S8 and S13: a state that is not what it was when it was left never continues its log as if it were."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from evidence import note, segment
from evidence.errors import NewerStateError
from evidence.keys import PrivateKey
from evidence.log import Entry, EvidenceStore
from evidence.note import Checkpoint
from evidence.predicates import Event
from tests.evidence.store_parts import SEEN, table, ticking

HERE, ELSEWHERE = "aa" * 32, "bb" * 32


def append(state: Path, machine: str | None = HERE) -> Entry:
    with EvidenceStore.open(str(state), machine=machine, clock=ticking()) as store:
        return store.append_snapshot([table("users", b"{}")], SEEN)


def openings(state: Path) -> list[dict[str, Any]]:
    """Return what the first entries of the logs say, oldest log first."""
    found = []
    with EvidenceStore.read(str(state)) as reader:
        for log in reader.logs():
            said = reader.entry(log.id, 0).statement
            assert isinstance(said, Event)
            found.append({"origin": log.origin, **said.predicate.event})
    return found


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    append(path)
    append(path)
    return path


def test_the_first_log_says_that_it_is_the_first(state: Path) -> None:
    (opening,) = openings(state)
    assert (opening["kind"], opening["why"], opening["previous"]) == ("log-opened", "first", None)
    assert opening["origin"].endswith("/1")


def test_the_same_machine_goes_on_and_a_missing_machine_id_decides_nothing(state: Path) -> None:
    assert [append(state, each).sequence for each in (HERE, None, HERE)] == [3, 4, 5]


def test_a_machine_id_that_was_not_known_at_first_is_remembered_later(tmp_path: Path) -> None:
    state = tmp_path / "state"
    append(state, None)
    append(state, HERE)
    assert append(state, ELSEWHERE).sequence == 1
    assert [each["why"] for each in openings(state)] == ["first", "cloned"]


def test_a_clone_makes_a_key_of_its_own_and_names_the_log_it_came_from(state: Path) -> None:
    with EvidenceStore.read(str(state)) as reader:
        original = reader.logs()[0]
    old_key = (state / "keys" / "agent.pem").read_bytes()
    append(state, ELSEWHERE)
    first, second = openings(state)
    assert second["why"] == "cloned"
    assert second["previous"]["origin"] == first["origin"] == original.origin
    assert second["previous"]["size"] == original.size
    assert second["origin"].split("/")[1] != first["origin"].split("/")[1]
    assert (state / "keys" / "agent.pem").read_bytes() != old_key
    assert append(state, ELSEWHERE).sequence == 2


def test_a_backup_that_was_put_back_does_not_fork_the_log(state: Path, tmp_path: Path) -> None:
    shutil.copytree(state, tmp_path / "backup")
    append(state)
    shutil.rmtree(state)
    shutil.copytree(tmp_path / "backup", state)
    append(state)
    assert [each["why"] for each in openings(state)] == ["first", "restored"]
    assert len({each["origin"].split("/")[1] for each in openings(state)}) == 2


def test_a_receipt_for_more_than_the_log_holds_opens_a_new_epoch_that_names_it(state: Path) -> None:
    with EvidenceStore.read(str(state)) as reader:
        log = reader.logs()[0]
    key = PrivateKey.from_pkcs8_pem((state / "keys" / "agent.pem").read_text())
    ahead = Checkpoint(log.origin, log.size + 5, bytes(32))
    receipts = state / "receipts" / log.id
    receipts.mkdir(parents=True, mode=0o700)
    (receipts / "hub").write_bytes(note.sign(ahead.text(), log.origin, key).encode())
    assert append(state).sequence == 1
    _, second = openings(state)
    assert (second["why"], second["previous"]["size"]) == ("restored", log.size + 5)
    assert second["origin"] == log.origin[:-1] + "2"


def test_a_receipt_that_proves_nothing_is_set_aside(state: Path) -> None:
    with EvidenceStore.read(str(state)) as reader:
        log = reader.logs()[0]
    receipts = state / "receipts" / log.id
    receipts.mkdir(parents=True, mode=0o700)
    (receipts / "hub").write_bytes(b"<html>captive portal</html>")
    with EvidenceStore.open(str(state), machine=HERE, clock=ticking()) as store:
        store.append_snapshot([table()], SEEN)
        assert [each.kind for each in store.events] == ["damage"]
    assert list(receipts.iterdir()) == []


def test_a_state_that_was_deleted_begins_again_with_another_key(state: Path) -> None:
    (first,) = openings(state)
    shutil.rmtree(state)
    append(state)
    (second,) = openings(state)
    assert second["why"] == "first"
    assert second["origin"] != first["origin"]


def test_a_log_that_was_deleted_is_followed_by_an_epoch_that_was_never_used(state: Path) -> None:
    origins = [openings(state)[0]["origin"]]
    for _ in range(2):
        shutil.rmtree(state / "logs")
        append(state)
        (opening,) = openings(state)
        assert opening["why"] == "lost"
        origins.append(opening["origin"])
    key = origins[0].rpartition("/")[0]
    assert origins == [f"{key}/1", f"{key}/2", f"{key}/3"]


def test_without_logs_and_memory_of_them_the_key_is_not_used_again(state: Path) -> None:
    (first,) = openings(state)
    shutil.rmtree(state / "logs")
    (state / "keys" / "identity.json").unlink()
    append(state)
    (second,) = openings(state)
    assert second["why"] == "lost"
    assert second["origin"].split("/")[1] != first["origin"].split("/")[1]


def test_a_state_of_a_later_format_is_not_written_to_and_that_is_said(state: Path) -> None:
    path = state / "keys" / "identity.json"
    value = json.loads(path.read_bytes().split(b"\n")[0])
    line = json.dumps({**value, "format": 2, "unheard-of": True}).encode()
    path.write_bytes(line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n")
    before = {each: each.read_bytes() for each in state.rglob("*") if each.is_file() and each.name != "lock"}
    with pytest.raises(NewerStateError, match="state of format 1, found format 2; use the version"):
        append(state)
    after = {each: each.read_bytes() for each in before}
    assert after == before
    with EvidenceStore.read(str(state)) as reader:
        assert reader.logs()[0].size == 3


def test_a_segment_of_a_later_format_is_not_written_to_and_that_is_said(state: Path) -> None:
    (path,) = (state / "logs").glob("*/segments/*")
    data = path.read_bytes()
    origin = openings(state)[0]["origin"]
    path.write_bytes(segment.header(origin, 0, version=2) + data.partition(b"\n")[2])
    with pytest.raises(NewerStateError, match="a segment of format 1, found format 2"):
        append(state)
    assert path.read_bytes().startswith(b"evidenced segment 2 ")
