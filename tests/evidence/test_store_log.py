"""What the store promises when nothing goes wrong: order, rotation, retention, reading beside a writer."""

from __future__ import annotations

import errno
import multiprocessing
import os
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from evidence import dsse, reserve, sshsig, tree
from evidence.errors import CommitError, FormatError, LimitError, StateError
from evidence.keys import PublicKey
from evidence.log import EvidenceStore
from evidence.predicates import Clock, Event, Snapshot
from evidence.reader import StoreReader
from evidence.statement import Observation
from evidence.tree import verify_inclusion
from tests.evidence.store_parts import SEEN, START, table, ticking


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state")


def opened(state: str, step: timedelta = timedelta(seconds=1)) -> EvidenceStore:
    return EvidenceStore.open(state, machine="aa" * 32, clock=ticking(step=step))


def reading(state: str) -> StoreReader:
    return EvidenceStore.read(state)


def test_entries_come_back_signed_and_in_order_and_each_can_be_proved(state: str) -> None:
    with opened(state) as store:
        done = [store.append_snapshot([table("users", b'{"n":%d}' % at)], SEEN) for at in range(5)]
    assert [each.sequence for each in done] == [1, 2, 3, 4, 5]
    with reading(state) as reader:
        (log,) = reader.logs()
        entries = list(reader.entries(log.id))
        key = reader.public_key(log.id)
        for each in entries:
            assert each.envelope is not None
            dsse.verify(dsse.decode(each.envelope), [key])
            proof = reader.inclusion(log.id, each.sequence)
            verify_inclusion(each.leaf, each.sequence, log.size, proof.hashes, proof.checkpoint.root)
        sshsig.verify(reader.sshsig(log.id), reader.signed_size(log.id).text().encode(), key)
        assert [each.leaf for each in entries[1:]] == [each.leaf_hash for each in done]
        assert [each.sequence for each in reader.entries(log.id, 2, 4)] == [2, 3]
        snapshot = entries[3].statement
        assert isinstance(snapshot, Snapshot)
        assert reader.blob(snapshot.subjects()["users"]) == b'{"n":2}\n'


def test_an_unchanged_table_is_stored_once(state: str) -> None:
    with opened(state) as store:
        store.append_snapshot([table("users", b"{}")], SEEN)
        before = sorted(Path(state, "blobs").rglob("*"))
        store.append_snapshot([table("users", b"{}")], SEEN)
    assert sorted(Path(state, "blobs").rglob("*")) == before


def test_what_contradicts_itself_is_refused_before_anything_is_written(state: str) -> None:
    with opened(state) as store:
        store.append_snapshot([table()], SEEN)
        with pytest.raises(FormatError, match="each table once"):
            store.append_snapshot([table(), table()], SEEN)
        with pytest.raises(LimitError, match="at most 61440 bytes"):
            store.append_event("note", {"text": "x" * 70_000}, {}, SEEN)
        assert store.append_snapshot([table()], SEEN).sequence == 2


def test_a_clock_that_jumps_changes_no_order(state: str) -> None:
    with opened(state, step=timedelta(days=-3650)) as store:
        assert [store.append_snapshot([table()], SEEN).sequence for _ in range(3)] == [1, 2, 3]
    with reading(state) as reader:
        walls = [each.wall for each in reader.entries(reader.logs()[0].id)]
    assert walls == sorted(walls, key=str, reverse=True)


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_what_follows_a_failed_write_or_sync_goes_into_another_file(
    state: str, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """After a failed fsync(2) the kernel may forget what it could not write, and say yes to the next one."""
    really: Callable[..., Any] = getattr(os, call)
    refused: list[str] = []

    def refuse_once(descriptor: int, *data: bytes) -> Any:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if not refused and os.path.basename(os.path.dirname(path)) == "segments":
            refused.append(path)
            raise OSError(errno.EIO, "Input/output error")
        return really(descriptor, *data)

    with opened(state) as store:
        before = store.append_snapshot([table()], SEEN)
        monkeypatch.setattr(os, call, refuse_once)
        with pytest.raises(CommitError):
            store.append_snapshot([table()], SEEN)
        (doubtful,) = Path(state).glob("logs/*/segments/*")
        left = doubtful.read_bytes()
        store.append_snapshot([table()], SEEN)
    assert refused == [str(doubtful)]
    assert doubtful.read_bytes() == left
    others = b"".join(each.read_bytes() for each in Path(state).glob("logs/*/segments/*") if each != doubtful)
    with reading(state) as reader:
        found = [each.envelope for each in reader.entries(reader.logs()[0].id, before.sequence + 1)]
    assert found
    assert all(each is not None and each in others for each in found)


def test_segments_are_closed_at_their_size_and_read_as_one_log(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evidence.segment.ROLL_BYTES", 5000)
    for _ in range(3):
        with opened(state) as store:
            for at in range(4):
                store.append_snapshot([table("users", b"%d" % at)], SEEN)
    assert len(list(Path(state).glob("logs/*/segments/*"))) > 3
    with reading(state) as reader:
        (log,) = reader.logs()
        assert [each.sequence for each in reader.entries(log.id)] == list(range(13))
        assert tree.root(tree.split(reader.leaves(log.id))) == reader.signed_size(log.id).root


def test_rotation_is_signed_by_both_keys_and_the_old_private_key_is_gone(state: str) -> None:
    with opened(state) as store:
        store.append_snapshot([table()], SEEN)
        old_pem = Path(state, "keys", "agent.pem").read_bytes()
        opening = store.rotate(SEEN)
        assert store.append_snapshot([table()], SEEN).origin == opening.origin
    with reading(state) as reader:
        before, after = reader.logs()
        last = reader.entry(before.id, before.size - 1)
        said, first = last.statement, reader.entry(after.id, 0).statement
        assert isinstance(said, Event)
        assert isinstance(first, Event)
        assert last.envelope is not None
        keys = [reader.public_key(before.id), reader.public_key(after.id)]
        assert dsse.verify(dsse.decode(last.envelope), keys, threshold=2) == tuple(keys)
        assert [said.kind, said.predicate.event["number"]] == ["key-rotated", 2]
        assert PublicKey(keys[1].raw).fingerprint == said.predicate.event["keyid"] == after.keyid
        previous = first.predicate.event["previous"]
        assert (previous["origin"], previous["size"]) == (before.origin, before.size)
        card = reader.key_card()
        assert card is not None
        assert (card.number, card.fingerprint) == (2, after.keyid)
    assert all(each.read_bytes() != old_pem for each in Path(state).rglob("*") if each.is_file())
    assert not Path(state, "keys", "next.pem").exists()


def test_prune_removes_what_only_old_entries_name_and_says_what(state: str) -> None:
    with opened(state, step=timedelta(days=1)) as store:
        for at in range(4):
            store.append_snapshot([table("users", b"%d" % at), table("groups", b"same")], SEEN)
        kept_until = START + timedelta(days=4)
        assert store.prune(kept_until, SEEN) == 2
        assert store.prune(kept_until, SEEN) == 0
    with reading(state) as reader:
        (log,) = reader.logs()
        entries = [each.statement for each in reader.entries(log.id)]
        rows = [reader.blob(each.subjects()["users"]) for each in entries if isinstance(each, Snapshot)]
        assert rows == [None, None, b"2\n", b"3\n"]
        event = entries[-1]
        assert isinstance(event, Event)
        assert (event.kind, event.predicate.event["blobs"]) == ("pruned", 2)
        assert event.predicate.event["before"] == "2026-01-05T00:00:00Z"
        gone = {each.subjects()["users"] for each in entries[1:3] if isinstance(each, Snapshot)}
        details = reader.blob(event.subjects()["event"])
        assert details is not None
        assert all(each.encode() in details for each in gone)


DAY = timedelta(days=1)


def told(*times: datetime) -> Callable[[], Clock]:
    """Return a clock that says these times, one after the other, and the last one from then on."""
    left = list(times)

    def clock() -> Clock:
        wall = (left.pop(0) if len(left) > 1 else left[0]).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return Clock(wall=wall, boottime_ms=1000, boot_id="b" * 32, synchronised=None)

    return clock


BOOTED = datetime(1970, 1, 1, tzinfo=timezone.utc)
OLD = [START - days * DAY for days in (500, 480, 460, 440)]
AHEAD = START + 900 * DAY


@pytest.mark.parametrize(
    ("walls", "gone"),
    [
        ([*OLD, START], 4),
        ([START, BOOTED, START + DAY], 0),
        ([BOOTED, BOOTED + DAY, START, START + DAY], 0),
        ([BOOTED, BOOTED + 59 * DAY, START], 2),
        ([*OLD[:2], AHEAD, *OLD[2:], START], 5),
        ([AHEAD, *OLD, START], 4),
    ],
    ids=["right", "behind", "behind at first", "behind for too long to be noticed", "ahead", "ahead at first"],
)
def test_an_entry_is_as_old_as_its_place_says(state: str, walls: list[datetime], gone: int) -> None:
    with EvidenceStore.open(state, machine="aa" * 32, clock=told(walls[0], *walls)) as store:
        for at in range(len(walls)):
            store.append_snapshot([table("users", b"%d" % at)], SEEN)
        assert store.prune(START - 400 * DAY, SEEN) == gone


def test_the_last_collection_of_a_table_stays_however_old_and_an_image_is_another_host(state: str) -> None:
    image = Observation(
        name="image", labels={}, machine=None, observed="image", version="0.1.0", reason="by-hand", privileged=True
    )
    with opened(state) as store:
        store.append_snapshot([table("users", b"host")], SEEN)
        store.append_snapshot([table("users", b"image")], image)
        store.append_snapshot([table("users", b"image again")], image)
        assert store.prune(START + timedelta(days=999), SEEN) == 1
    with reading(state) as reader:
        said = [each.statement for each in reader.entries(reader.logs()[0].id)]
        rows = [reader.blob(each.subjects()["users"]) for each in said if isinstance(each, Snapshot)]
    assert rows == [b"host\n", None, b"image again\n"]


def test_a_pruned_blob_that_is_seen_again_is_stored_again(state: str) -> None:
    with opened(state) as store:
        for row in (b"a", b"b"):
            store.append_snapshot([table("users", row)], SEEN)
        assert store.prune(START + timedelta(days=999), SEEN) == 1
        store.append_snapshot([table("users", b"a")], SEEN)
        assert store.check(SEEN) == []


def test_a_time_without_a_zone_is_refused(state: str) -> None:
    with opened(state) as store, pytest.raises(StateError, match="a time with its zone"):
        store.prune(datetime(2026, 1, 1), SEEN)  # noqa: DTZ001  that is the point


def test_what_the_store_says_itself_speaks_of_this_host_also_while_an_image_is_read(state: str) -> None:
    image = Observation(
        name="image", labels={"a": "b"}, machine=None, observed="image", version="1", reason="by-hand", privileged=True
    )
    with opened(state) as store:
        store.append_snapshot([table()], image)
    with reading(state) as reader:
        opening, snapshot = [each.statement for each in reader.entries(reader.logs()[0].id)]
    assert opening is not None
    assert snapshot is not None
    assert (opening.predicate.host.observed, opening.predicate.host.machine) == ("live", "aa" * 32)
    assert snapshot.predicate.host.observed == "image"


def _append_many(state: str, count: int) -> None:
    with EvidenceStore.open(state, machine="aa" * 32, clock=ticking(START.astimezone(timezone.utc))) as store:
        for at in range(count):
            store.append_snapshot([table("users", b"%d" % at)], SEEN)


def test_a_reader_sees_a_signed_view_at_any_moment_of_a_writer(state: str) -> None:
    _append_many(state, 1)
    writer = multiprocessing.get_context("fork").Process(target=_append_many, args=(state, 60))
    writer.start()
    sizes: list[int] = []
    while writer.is_alive() or not sizes:
        with reading(state) as reader:
            (log,) = reader.logs()
            leaves = tree.split(reader.leaves(log.id))
            proof = reader.inclusion(log.id, 0)
            assert proof.checkpoint.size >= log.size
            sizes.append(len(leaves))
    writer.join()
    assert sizes == sorted(sizes)
    assert writer.exitcode == 0
    with reading(state) as reader:
        assert reader.logs()[0].size == 62


def test_an_index_of_another_version_is_rebuilt_without_a_word(state: str) -> None:
    with opened(state) as store:
        store.append_snapshot([table()], SEEN)
    base = sqlite3.connect(Path(state, "index.sqlite"))
    base.execute("PRAGMA user_version = 99")
    base.close()
    with opened(state) as store:
        store.append_snapshot([table()], SEEN)
        assert store.events == []


def test_entries_that_did_not_fit_are_told_once_also_while_the_disk_stays_too_full_for_the_reserve(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(state) as store:
        store.append_snapshot([table("users", b'{"n":0}')], SEEN)
        assert reserve.spend(store._root, "2026-01-01T00:00:00.000Z")
        with monkeypatch.context() as full:
            full.setattr(reserve, "fill", lambda _root: None)
            for number in range(3):
                store.append_snapshot([table("users", b'{"n":%d}' % number)], SEEN)
        assert [each.kind for each in store.events].count("gap") == 1
        assert reserve.spend(store._root, "2026-01-02T00:00:00.000Z")  # the next time is a time of its own
        store.append_snapshot([table("users", b'{"n":7}')], SEEN)
        assert [each.kind for each in store.events].count("gap") == 2
        assert Path(state, "reserve").stat().st_size == reserve.SIZE_BYTES
