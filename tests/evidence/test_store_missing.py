"""What is gone from the state is said, by the reader at once and by a signed event once something is appended."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from evidence import pack
from evidence.errors import DamageError, UnreadableError
from evidence.log import EvidenceStore
from evidence.predicates import Event
from evidence.reader import StoreReader
from evidence.statement import Clock
from tests.evidence.packs import Pack, unpacked
from tests.evidence.store_parts import SEEN, START, table, ticking


class Host:
    """A state whose clock goes on from one opening to the next."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._clock: Callable[[], Clock] = ticking(step=timedelta(hours=1))

    def opened(self) -> EvidenceStore:
        return EvidenceStore.open(str(self.state), machine="aa" * 32, clock=self._clock)

    def append(self, rows: bytes = b"{}") -> None:
        with self.opened() as store:
            store.append_snapshot([table("users", rows), table("groups")], SEEN)

    def rotate(self) -> None:
        with self.opened() as store:
            store.rotate(SEEN)

    def reading(self) -> StoreReader:
        return EvidenceStore.read(str(self.state))

    def logs(self) -> list[str]:
        with self.reading() as reader:
            return [each.id for each in reader.logs()]

    def segments(self, log: str) -> list[Path]:
        return sorted((self.state / "logs" / log / "segments").iterdir())

    def damage(self) -> list[dict[str, Any]]:
        """Return each damage event with its details as they were signed."""
        found = []
        with self.reading() as reader:
            for log in reader.logs():
                for entry in reader.entries(log.id):
                    said = entry.statement
                    if isinstance(said, Event) and said.kind == "damage":
                        details = reader.blob(said.subjects()["event"])
                        assert details is not None
                        found.append({**said.predicate.event, **json.loads(details)})
        return found

    def exported(self, since: datetime, until: datetime) -> tuple[Pack, pack.PackSummary]:
        out = io.BytesIO()
        with self.reading() as reader:
            summary = pack.export(reader, out, since=since, until=until, with_script=False)
        return unpacked(out.getvalue()), summary


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Return a state of three logs, the key rotated twice."""
    found = Host(tmp_path / "state")
    for at in range(3):
        if at:
            found.rotate()
        found.append(b'{"n":%d}' % at)
    return found


def deleted(path: Path) -> None:
    path.unlink()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


GONE = pytest.mark.parametrize("gone", [deleted, emptied, cut])
WHICH = pytest.mark.parametrize("which", [0, 1, 2], ids=["oldest", "middle", "newest"])


@GONE
@WHICH
def test_a_log_whose_segment_is_gone_keeps_its_place_and_is_not_passed_over(
    host: Host, which: int, gone: Callable[[Path], None]
) -> None:
    was = host.logs()
    gone(host.segments(was[which])[0])
    assert host.logs() == was
    with host.reading() as reader, pytest.raises(DamageError, match="evidenced inventory mends what can be mended"):
        list(reader.entries(was[which]))


@GONE
@WHICH
def test_after_mending_lost_entries_stand_in_their_places_and_the_event_names_them(
    host: Host, which: int, gone: Callable[[Path], None]
) -> None:
    was = host.logs()
    with host.reading() as reader:
        info = reader.logs()[which]
    gone(host.segments(was[which])[0])
    host.append()
    assert host.logs() == was
    with host.reading() as reader:
        entries = list(reader.entries(info.id, 0, info.size))
    assert [each.envelope for each in entries] == [None] * info.size
    (event,) = host.damage()
    assert (event["part"], event["count"]) == ("segment", info.size)
    (finding,) = event["findings"]
    assert finding["names"] == [f"{info.origin} {at}" for at in range(info.size)]


@WHICH
def test_the_pack_of_all_time_carries_every_log_and_what_damage_left_of_it(host: Host, which: int) -> None:
    was = host.logs()
    with host.reading() as reader:
        size = reader.logs()[which].size
    deleted(host.segments(was[which])[0])
    host.append()
    found, summary = host.exported(START, START + timedelta(days=30))
    assert [each["id"] for each in found.manifest["logs"]] == was
    assert summary.lost == size
    assert [each for host_ in found.manifest["hosts"] for each in host_["logs"]] == was
    assert len(found.members[f"{was[which]}/leaves"]) >= size * 32
    names = [
        each["predicate"]["event"]["kind"]
        for log in was
        for each in found.statements(log)
        if "event" in each["predicate"]
    ]
    assert "damage" in names


def test_a_pack_that_begins_with_the_first_snapshot_left_reaches_back_to_the_first_log(host: Host) -> None:
    was = host.logs()
    deleted(host.segments(was[0])[0])
    host.append()
    with host.reading() as reader:
        wall = next(each.wall for each in list(reader.entries(was[1]))[1:])
    assert wall is not None
    since = datetime.strptime(wall, "%Y-%m-%dT%H:%M:%S.000Z").replace(tzinfo=timezone.utc)
    found, summary = host.exported(since, START + timedelta(days=30))
    assert [each["id"] for each in found.manifest["logs"]] == was
    assert summary.lost


@pytest.fixture
def blob(host: Host) -> Path:
    """Return the file of a blob that the first log names."""
    with host.reading() as reader:
        said = reader.entry(reader.logs()[0].id, 1).statement
        assert said is not None
        digest = said.subjects()["users"]
    return host.state / "blobs" / digest[:2] / digest


def test_a_blob_that_was_deleted_is_named_by_one_signed_event(host: Host, blob: Path) -> None:
    blob.unlink()
    host.append()
    host.append()
    (event,) = host.damage()
    assert (event["part"], event["count"]) == ("blob", 1)
    where = f"blobs/{blob.name[:2]}/{blob.name}"
    finding = {"count": 1, "found": "no file", "names": [blob.name], "part": "blob", "where": where}
    assert event["findings"] == [finding]


def test_the_pack_of_an_older_period_carries_the_event_that_names_a_lost_blob(host: Host, blob: Path) -> None:
    blob.unlink()
    host.append()
    found, summary = host.exported(START, START + timedelta(hours=3))
    assert summary.missing == (blob.name,)
    details = [json.loads(each) for each in found.blobs().values() if b'"findings"' in each]
    assert [finding["names"] for each in details for finding in each["findings"]] == [[blob.name]]


def test_all_blobs_gone_at_once_are_named_by_one_signed_event(host: Host) -> None:
    with host.reading() as reader:
        entries = [entry for log in reader.logs() for entry in reader.entries(log.id)]
    named = {digest for each in entries if each.statement is not None for digest in each.statement.digests()}
    shutil.rmtree(host.state / "blobs")
    host.append(b'{"n":7}')
    host.append(b'{"n":8}')
    (event,) = host.damage()
    assert (event["part"], event["count"]) == ("blob", len(named))
    assert {name for each in event["findings"] for name in each["names"]} == named


def test_more_than_a_report_or_an_event_holds_is_told_in_several(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evidence.patrol.MAX_NAMES", 2)
    monkeypatch.setattr("evidence.journal._MAX_FINDINGS", 3)
    shutil.rmtree(host.state / "blobs")
    host.append(b'{"n":7}')
    host.append(b'{"n":8}')
    said = host.damage()
    assert len(said) > 1
    assert {len(event["findings"]) for event in said} <= {1, 2, 3}
    findings = [each for event in said for each in event["findings"]]
    assert {len(each["names"]) for each in findings} <= {1, 2}
    names = [name for each in findings for name in each["names"]]
    assert len(names) == len(set(names)) == sum(event["count"] for event in said)


def test_a_blob_that_came_back_and_was_healed_is_reported_when_it_goes(host: Host, blob: Path) -> None:
    blob.write_bytes(b"")
    with EvidenceStore.open(str(host.state), machine="aa" * 32, clock=ticking(), patrol_bytes=0) as store:
        store.append_snapshot([table("users", b'{"n":0}')], SEEN)
    host.append()
    said = len(host.damage())
    blob.unlink()
    host.append()
    assert len(host.damage()) == said + 1


@pytest.fixture
def refused(blob: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the disk refuse to give any byte of the state."""
    assert blob.exists()

    def read(_descriptor: int, _count: int) -> bytes:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "read", read)
        yield


READS: dict[str, Callable[[StoreReader, str], object]] = {
    "logs": lambda reader, _: reader.logs(),
    "public_key": lambda reader, log: reader.public_key(log),
    "signed_size": lambda reader, log: reader.signed_size(log),
    "checkpoint": lambda reader, log: reader.checkpoint(log),
    "sshsig": lambda reader, log: reader.sshsig(log),
    "entries": lambda reader, log: list(reader.entries(log)),
    "entry": lambda reader, log: reader.entry(log, 0),
    "leaves": lambda reader, log: reader.leaves(log),
    "inclusion": lambda reader, log: reader.inclusion(log, 0),
    "key_card": lambda reader, _: reader.key_card(),
    "secret": lambda reader, _: reader.secret(),
}


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("name", READS)
def test_a_disk_that_refuses_to_give_bytes_is_an_error_of_ours(host: Host, name: str) -> None:
    log = next(each.name for each in (host.state / "logs").iterdir())
    with host.reading() as reader, pytest.raises(UnreadableError, match="found input/output error; see to the disk"):
        READS[name](reader, log)


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("method", ["blob", "stored_blob"])
def test_a_blob_that_cannot_be_read_is_neither_there_nor_lost(host: Host, blob: Path, method: str) -> None:
    with host.reading() as reader, pytest.raises(UnreadableError, match="files that can be read"):
        getattr(reader, method)(blob.name)
