"""S6, S7, S8 and S13: a state that is not what it was when it was left never continues its log as if it were."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
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


def laid_over_by_cp(backup: Path, state: Path) -> None:
    subprocess.run(["cp", "-a", f"{backup}/.", str(state)], check=True)


def laid_over_by_cp_that_unlinks(backup: Path, state: Path) -> None:
    subprocess.run(["cp", "-a", "--remove-destination", f"{backup}/.", str(state)], check=True)


def laid_over_by_tar(backup: Path, state: Path) -> None:
    subprocess.run(f"tar -C '{backup}' -cf - . | tar -C '{state}' -xf -", shell=True, check=True)  # noqa: S602  our paths


def mirrored(backup: Path, state: Path) -> None:
    """Do what `rsync --archive --delete` does: what is the same by size and time is left alone, extra names go."""
    for each in [path for path in state.rglob("*") if path.is_file()]:
        was, now = backup / each.relative_to(state), each.stat()
        if not was.exists():
            each.unlink()
        elif (was.stat().st_size, was.stat().st_mtime_ns) != (now.st_size, now.st_mtime_ns):
            shutil.copy2(was, each.with_name(".part"))
            each.with_name(".part").replace(each)
    for each in [path for path in state.rglob("*") if not (backup / path.relative_to(state)).exists()]:
        shutil.rmtree(each, ignore_errors=True)
    for each in [path for path in backup.rglob("*") if path.is_file()]:
        if not (state / each.relative_to(backup)).exists():
            shutil.copy2(each, state / each.relative_to(backup))


Restore = Callable[[Path, Path], None]
IN_PLACE: tuple[Restore, ...] = (laid_over_by_cp, laid_over_by_cp_that_unlinks, laid_over_by_tar, mirrored)


def seen_by(state: Path) -> dict[str, Checkpoint]:
    with EvidenceStore.read(str(state)) as reader:
        return {each.id: reader.signed_size(each.id) for each in reader.logs()}


@pytest.mark.parametrize("put_back", IN_PLACE)
@pytest.mark.parametrize("entries", [1, 5])
def test_a_backup_that_is_laid_over_the_state_does_not_fork_the_log(
    state: Path, tmp_path: Path, put_back: Restore, entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment, "ROLL_BYTES", 6000)
    subprocess.run(["cp", "-a", str(state), str(tmp_path / "backup")], check=True)
    for _ in range(entries):
        append(state)
    (before,) = seen_by(state).values()
    put_back(tmp_path / "backup", state)
    assert append(state).sequence == 1
    assert [each["why"] for each in openings(state)] == ["first", "restored"]
    old, new = seen_by(state).values()
    assert (old.origin, old.size) == (before.origin, before.size - entries)
    assert openings(state)[1]["previous"]["size"] == old.size
    assert new.origin.split("/")[1] != old.origin.split("/")[1]
    with EvidenceStore.open(str(state), machine=HERE, clock=ticking()) as store:
        store.check(SEEN)
        assert [each.kind for each in store.events if each.kind == "log-opened"] == []
    assert append(state).origin == new.origin


@pytest.mark.parametrize("put_back", IN_PLACE)
def test_a_backup_from_before_a_rotation_does_not_bring_the_old_key_back_to_work(
    state: Path, tmp_path: Path, put_back: Restore
) -> None:
    subprocess.run(["cp", "-a", str(state), str(tmp_path / "backup")], check=True)
    with EvidenceStore.open(str(state), machine=HERE, clock=ticking()) as store:
        store.rotate(SEEN)
    old_keys = {each.split("-")[0] for each in seen_by(state)}
    put_back(tmp_path / "backup", state)
    again = append(state)
    assert again.sequence == 1
    assert again.origin.split("/")[1] not in old_keys
    assert openings(state)[-1]["why"] == "restored"


def test_a_backup_from_before_a_lost_key_does_not_go_on_in_a_log_that_another_followed(
    state: Path, tmp_path: Path
) -> None:
    subprocess.run(["cp", "-a", str(state), str(tmp_path / "backup")], check=True)
    (state / "keys" / "agent.pem").unlink()
    append(state)
    laid_over_by_cp(tmp_path / "backup", state)
    append(state)
    assert [each["why"] for each in openings(state)] == ["first", "damaged", "restored"]


def test_a_state_of_a_version_that_made_no_marks_goes_on(state: Path) -> None:
    (mark,) = state.glob("logs/*/mark.*")
    mark.unlink()
    assert append(state).sequence == 3
    assert [each.name for each in state.glob("logs/*/mark.*")] == ["mark.000000000004"]


def test_a_log_whose_end_and_checkpoint_are_gone_together_is_not_continued(state: Path) -> None:
    (segments,) = state.glob("logs/*/segments/*")
    segments.write_bytes(segments.read_bytes()[:-100])
    (segments.parents[1] / "checkpoint").unlink()
    (state / "index.sqlite").unlink()
    assert append(state).sequence == 2  # behind the opening and the damage
    assert [each["why"] for each in openings(state)] == ["first", "damaged"]
    assert [each.size for each in seen_by(state).values()] == [2, 3]


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
