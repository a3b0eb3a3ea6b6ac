"""Writing batches: everything is shipped once, in pieces that whoever holds the pieces before can check."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import random
import re
import stat
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import note, steps, tree
from evidence.batch_form import place_of
from evidence.batch_read import open_batch
from evidence.errors import CommitError, PackError, StateError
from evidence.index import Row, pack
from evidence.log import EvidenceStore
from evidence.note import Checkpoint, Verifier
from evidence.pack_target import Target
from evidence.tree import Frontier
from tests.evidence.batches import HERE, Shipper, Taken, names_in, taken, unzipped
from tests.evidence.statements import users
from tests.evidence.store_parts import SEEN, START, ticking
from tests.evidence.verify.verdict import Auditor

FEW = [b'{"name":"%d","uid":1}\n' % at for at in range(5)]


@pytest.fixture
def shipper(tmp_path: Path) -> Shipper:
    return Shipper(tmp_path)


def test_the_members_stand_in_the_order_of_the_format(shipper: Shipper) -> None:
    log = shipper.append(*FEW)
    info = shipper.write(log, 0)
    found = shipper.pack(info)
    assert list(found.members) == [
        "manifest.json",
        *(f"keys/{log}.{form}" for form in ("pem", "pub", "vkey", "json")),
        *(f"{log}/checkpoint{form}" for form in ("", ".txt", ".sig", ".sshsig")),
        f"{log}/frontier",
        f"{log}/leaves",
        f"{log}/entries/000",
        "blobs/00",
    ]
    manifest = found.manifest
    assert (manifest["kind"], manifest["format"], manifest["period"], manifest["organisation"]) == (
        "batch",
        1,
        None,
        None,
    )
    assert manifest["counts"] == {"blobs": info.blobs, "entries": 6}
    assert manifest["hosts"] == [{"logs": [log], "name": "host.example"}]
    assert (found.log()["first"], found.log()["count"], found.log()["size"]) == (0, 6, 6)
    assert found.members[f"{log}/frontier"] == b""
    assert info.name == f"{log}-000000000000-000000000006.tar.gz"
    assert info.sha256 == hashlib.sha256(shipper.bytes(info)).hexdigest()
    assert info.tar_sha256 == hashlib.sha256(unzipped(shipper.bytes(info))).hexdigest()
    assert info.bytes == len(shipper.bytes(info))


def test_the_next_batch_goes_on_with_a_frontier_and_brings_only_what_is_new(shipper: Shipper) -> None:
    log = shipper.append(*FEW)
    first = shipper.write(log, 0)
    shipper.append(FEW[0], b'{"name":"new","uid":2}\n')
    second = shipper.write(log, first.size)
    found = shipper.pack(second)
    assert found.sequences(log) == [6, 7]
    assert list(found.blobs().values()) == [b'{"name":"new","uid":2}\n']
    with EvidenceStore.read(str(shipper.state)) as reader:
        leaves = tree.split(reader.leaves(log))
    assert tree.split(found.members[f"{log}/frontier"]) == list(Frontier(leaves[:6]).full)
    assert tree.split(found.members[f"{log}/leaves"]) == leaves[6:]
    checkpoint = Checkpoint(first_origin(log), 8, tree.root(leaves))
    signed = note.parse(found.members[f"{log}/checkpoint"])
    assert signed.text == checkpoint.text()
    note.verify(signed, [Verifier(checkpoint.origin, shipper.key.public)])


def first_origin(log: str) -> str:
    return "evidenced/" + log.replace("-", "/")


def test_a_backlog_becomes_several_batches_each_signed_for_its_size(shipper: Shipper) -> None:
    shipper.append(*(b'{"name":"%d","uid":%d}\n' % (at, at) for at in range(40)))
    infos = shipper.all(limit_bytes=12_000)
    assert len(infos) > 3
    known: Frontier | None = None
    digests: list[str] = []
    entries = 0
    for each in infos:
        assert each.bytes <= 12_000
        found = Taken(shipper.path(each), shipper.key.public, known)
        known, entries = found.checked.frontier, entries + len(found.entries)
        digests += found.blobs
    assert entries == 41
    assert len(digests) == len(set(digests)) == len(list(shipper.state.glob("blobs/*/*")))


def test_an_entry_larger_than_the_limit_goes_alone(shipper: Shipper) -> None:
    shipper.append(*FEW)
    assert [each.size - each.first for each in shipper.all(limit_bytes=1)] == [1] * 6


def test_equal_stores_give_equal_tar_streams(shipper: Shipper) -> None:
    log = shipper.append(*FEW)
    first = shipper.write(log, 2, size=5)
    assert shipper.write(log, 2, size=5, overwrite=True) == first
    (shipper.state / "index.sqlite").unlink()
    shipper.append(b'{"name":"later","uid":3}\n')
    assert shipper.write(log, 2, size=5, overwrite=True) == first


def test_without_blobs_the_same_entries_replace_a_batch(shipper: Shipper) -> None:
    log = shipper.append(*FEW)
    before = shipper.write(log, 0)
    bare = shipper.write(log, 0, size=before.size, with_blobs=False, overwrite=True)
    assert (bare.name, bare.blobs, bare.entries) == (before.name, 0, before.entries)
    assert names_in(shipper.outbox) == [before.name]
    found = Taken(shipper.path(bare))
    assert (len(found.entries), found.blobs, found.finished) == (6, {}, True)


def test_a_blob_of_a_log_before_is_not_shipped_again(shipper: Shipper) -> None:
    shipper.append(*FEW)
    with shipper.opened() as store:
        store.rotate(SEEN)
    shipper.append(FEW[2])
    first, second = shipper.all()
    assert second.first == 0
    assert not set(shipper.pack(second).blobs()) & set(shipper.pack(first).blobs())
    assert not set(FEW) & set(shipper.pack(second).blobs().values())


def test_a_blob_that_was_pruned_since_is_shipped_again(shipper: Shipper) -> None:
    log = shipper.append(*FEW)
    first = shipper.write(log, 0)
    with shipper.opened() as store:
        assert store.prune(START.replace(year=2030), SEEN)
    shipper.append(FEW[0])
    second = shipper.write(log, first.size)
    assert FEW[0] in shipper.pack(second).blobs().values()
    shipper.append(FEW[0])
    assert FEW[0] not in shipper.pack(shipper.write(log, second.size)).blobs().values()


def test_many_new_blobs_at_once_are_found_as_few_are(shipper: Shipper, monkeypatch: pytest.MonkeyPatch) -> None:
    log = shipper.append(*FEW, *FEW[::-1])
    many = shipper.write(log, 3)
    monkeypatch.setattr("evidence.batch_range._FEW", 0)
    assert shipper.write(log, 3, overwrite=True) == many


def test_a_batch_ends_where_it_is_told_to_or_before(shipper: Shipper) -> None:
    log = shipper.append(*FEW)
    assert [shipper.write(log, 1, up_to=4, limit_bytes=limit).size for limit in (1, 1 << 20)] == [2, 4]
    with pytest.raises(StateError, match="entries 1 to 6"):
        shipper.write(log, 1, up_to=7)


def test_a_log_whose_key_is_destroyed_is_left_with_signatures_to_cut_it_at(
    shipper: Shipper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "STEP_BYTES", 1)
    old = shipper.append(*FEW)
    unlike = shipper.write(old, 2, size=4)
    with shipper.opened() as store:
        store.rotate(SEEN)
        assert store.cut(old, 1, 6) == 3
        assert store.cut(old, 2, 3) is None
    assert shipper.write(old, 2, size=4, overwrite=True) == unlike  # signed before the key went, or after: the same
    infos = [info for info in shipper.all(limit_bytes=1, overwrite=True) if info.log_id == old]
    assert [(each.first, each.size) for each in infos] == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 7)]
    assert Taken(shipper.path(infos[-1])).entries[-1].kind == "key-rotated"


def test_steps_of_half_a_mebibyte_are_few(shipper: Shipper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "STEP_BYTES", 5000)
    old = shipper.append(*FEW)
    with shipper.opened() as store:
        store.rotate(SEEN)
    text = (shipper.state / "logs" / old / "steps").read_text()
    assert 0 < text.count("\n") < 5
    for name in names_in(shipper.state / "logs" / old):
        assert (shipper.state / "logs" / old / name).stat().st_mode & 0o077 == 0


def test_every_log_of_a_key_keeps_steps_and_one_that_is_damaged_stops_no_rotation(
    shipper: Shipper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "STEP_BYTES", 1)
    first = shipper.append(*FEW)
    (segment,) = (shipper.state / "logs" / first / "segments").iterdir()
    segment.write_bytes(segment.read_bytes()[:300])
    (shipper.state / "index.sqlite").unlink()
    second = shipper.append(*FEW)
    with shipper.opened() as store:
        store.rotate(SEEN)
    assert first.partition("-")[0] == second.partition("-")[0]
    assert [(shipper.state / "logs" / each / "steps").exists() for each in (first, second)] == [False, True]


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda data: data[:-10],
        lambda data: data.replace(b"sshsig", b"sshsih"),
        lambda data: b"\n\x00{}\n[]\n" + data[:100],
        lambda data: data.replace(b"AAAA", b"AAAB"),
    ],
    ids=["empty", "cut short", "another key", "no JSON", "other signatures"],
)
def test_steps_that_do_not_hold_are_none(
    shipper: Shipper, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(steps, "STEP_BYTES", 1)
    old = shipper.append(*FEW)
    with shipper.opened() as store:
        store.rotate(SEEN)
    file = shipper.state / "logs" / old / "steps"
    file.write_bytes(change(file.read_bytes()))
    at = 0
    while at < 7:
        info = shipper.write(old, at, limit_bytes=1)
        assert Taken(shipper.path(info)).finished
        at = info.size
    assert at == 7


@given(lengths=st.lists(st.integers(1, 50), max_size=40), limit=st.integers(1, 120))
def test_parts_are_within_the_limit_or_of_one_entry_and_leave_nothing_out(lengths: list[int], limit: int) -> None:
    rows = [Row(0, 0, each, bytes(32), "", "snapshot", "", pack({})) for each in lengths]
    ends = [0, *steps.sizes_of(rows, lambda _: 0, limit), len(rows)]
    parts = [lengths[first:stop] for first, stop in itertools.pairwise(ends)]
    assert list(itertools.chain(*parts)) == lengths
    assert all(sum(each) <= limit or len(each) == 1 for each in parts)
    assert all(sum(one) + other[0] > limit for one, other in itertools.pairwise(parts))


def test_a_log_whose_key_was_destroyed_goes_in_one_piece(shipper: Shipper) -> None:
    old = shipper.append(*FEW)
    with shipper.opened() as store:
        store.rotate(SEEN)
    info = shipper.write(old, 2, limit_bytes=1)
    assert (info.first, info.size) == (2, 7)
    assert Taken(shipper.path(info)).entries[-1].kind == "key-rotated"
    with pytest.raises(StateError, match="a batch up to its last entry 6, or one to replace, found another; its key"):
        shipper.write(old, 2, size=4)


def test_a_batch_of_a_destroyed_key_is_replaced_with_the_signature_that_it_has(shipper: Shipper) -> None:
    old = shipper.append(*FEW)
    before = shipper.write(old, 2, size=4)
    with shipper.opened() as store:
        store.rotate(SEEN)
    bare = shipper.write(old, 2, size=4, with_blobs=False, overwrite=True)
    assert (bare.blobs, bare.entries) == (0, 2)
    assert Taken(shipper.path(bare)).checked.checkpoint.size == 4
    again = shipper.write(old, 2, size=4, overwrite=True)
    assert again == before


def test_a_lost_entry_keeps_its_leaf_and_is_counted(shipper: Shipper) -> None:
    log = shipper.append(*FEW)
    (segment,) = (shipper.state / "logs" / log / "segments").iterdir()
    data = bytearray(segment.read_bytes())
    data[data.index(b'{"payload"', 4000) + 40] ^= 1
    segment.write_bytes(data)
    shipper.append(FEW[0])
    info = shipper.write(log, 0)
    assert info.lost == 1
    assert info.size - info.first == info.entries + 1
    kinds = [each.kind for each in Taken(shipper.path(info)).entries]
    assert kinds.count("lost") == 1
    assert "damage" in kinds


def test_a_blob_that_is_not_there_or_damaged_is_left_out_and_named(shipper: Shipper) -> None:
    log = shipper.append(*FEW)
    gone, damaged = sorted(shipper.state.glob("blobs/*/*"))[:2]
    gone.unlink()
    damaged.write_bytes(b"x")
    with EvidenceStore.open(str(shipper.state), machine=HERE, clock=ticking(), patrol_bytes=0) as store:
        info = store.write_batch(str(shipper.outbox), log, 0)
    assert (info.missing, info.damaged) == ((gone.name,), (damaged.name,))
    assert Taken(shipper.path(info)).finished


def test_members_of_the_folders_group_may_read_a_batch(shipper: Shipper) -> None:
    if os.geteuid() == 0:
        os.chown(shipper.outbox, -1, 4321)
    group = shipper.outbox.stat().st_gid
    info = shipper.write(shipper.append(*FEW), 0)
    facts = (shipper.outbox / info.name).stat()
    assert (stat.S_IMODE(facts.st_mode), facts.st_gid) == (0o640, group)


def test_a_file_that_stands_there_is_not_written_over_unless_asked(shipper: Shipper) -> None:
    log = shipper.append(*FEW)
    info = shipper.write(log, 0)
    with pytest.raises(PackError, match="nothing there yet, found a file"):
        shipper.write(log, 0)
    assert shipper.write(log, 0, overwrite=True) == info


def test_a_full_disk_leaves_no_batch_and_does_not_disturb_the_log(
    shipper: Shipper, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = shipper.append(*FEW)

    def full(_target: Target, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with shipper.opened() as store:
        with monkeypatch.context() as patch:
            patch.setattr(Target, "write", full)
            with pytest.raises(PackError, match="a batch written whole, found no space left on device"):
                store.write_batch(str(shipper.outbox), log, 0)
        assert names_in(shipper.outbox) == []
        store.append_snapshot([users()], SEEN)
        assert store.write_batch(str(shipper.outbox), log, 0).entries == 7
    assert len(list((shipper.state / "logs" / log / "segments").iterdir())) == 1


def test_what_a_killed_process_left_half_written_is_removed(shipper: Shipper) -> None:
    log = shipper.append(*FEW)
    name = f"{log}-000000000000-000000000006.tar.gz"
    (shipper.outbox / f".{name}.0123abcd.part").write_bytes(b"half")
    for other in (".other.0123abcd.part", "notes.txt"):
        (shipper.outbox / other).write_bytes(b"not ours")
    shipper.write(log, 0)
    assert names_in(shipper.outbox) == [".other.0123abcd.part", name, "notes.txt"]


@pytest.mark.parametrize(("first", "size"), [(6, None), (-1, None), (0, 7), (3, 3), (4, 2)])
def test_entries_that_are_not_there_are_not_shipped(shipper: Shipper, first: int, size: int | None) -> None:
    log = shipper.append(*FEW)
    with pytest.raises(StateError, match="expected entries"):
        shipper.write(log, first, size=size)
    with pytest.raises(StateError, match="expected a log"):
        shipper.write("0123456789abcdef-1", 0)
    assert names_in(shipper.outbox) == []


def test_how_much_waits_is_counted(shipper: Shipper) -> None:
    log = shipper.append(*FEW)
    with shipper.opened() as store:
        assert [store.unshipped(log, since) for since in (0, 5, 6, 9)] == [6, 1, 0, 0]
        with pytest.raises(StateError):
            store.unshipped("0123456789abcdef-1", 0)


def test_after_a_refused_entry_batches_are_still_written(shipper: Shipper, monkeypatch: pytest.MonkeyPatch) -> None:
    log = shipper.append(*FEW)
    with shipper.opened() as store:
        with monkeypatch.context() as patch:
            patch.setattr("evidence.writer.os.fsync", _refuse)
            with pytest.raises(CommitError):
                store.append_snapshot([users()], SEEN)
        assert store.write_batch(str(shipper.outbox), log, 0).size in (6, 7)


def _refuse(_descriptor: int) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_memory_does_not_grow_with_the_batch(shipper: Shipper) -> None:
    noise = random.Random(1)  # noqa: S311  the same in each run
    rows = [b'{"name":"%s","uid":1}\n' % noise.randbytes(500_000).hex().encode() for _ in range(12)]
    log = shipper.append(*rows)
    with shipper.opened() as store:
        tracemalloc.start()
        info = store.write_batch(str(shipper.outbox), log, 0)
        written = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        with open_batch(shipper.path(info)) as found:
            found.check()
            assert sum(each.length for each in found.blobs()) > 12_000_000
        read = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert info.bytes > 6_000_000
    assert max(written, read) < 6_000_000


def test_the_auditors_script_says_what_a_batch_is(shipper: Shipper) -> None:
    info = shipper.write(shipper.append(*FEW), 0)
    said = Auditor.run(shipper.path(info))
    assert said.code == 2
    expected = "a batch, not a pack: give it to a hub, or to evidenced import"
    assert re.fullmatch(f"✗ Not verified: /[^:]*: {expected}\n", said.text)


@pytest.mark.parametrize(
    "name",
    [
        "0123456789abcdef-1-000000000000-000000000000.tar.gz",
        "0123456789abcdef-1-000000000002-000000000001.tar.gz",
        "0123456789abcdef-0-000000000000-000000000001.tar.gz",
        "0123456789abcdef-1-0-1.tar.gz",
        "0123456789abcdef-1-000000000000-000000000001.tar.gz\n",
        "0123456789ABCDEF-1-000000000000-000000000001.tar.gz",
        ".0123456789abcdef-1-000000000000-000000000001.tar.gz.01234567.part",
    ],
)
def test_other_names_are_no_batches(name: str) -> None:
    assert place_of(name) is None


def test_a_name_says_which_entries_a_batch_holds(shipper: Shipper) -> None:
    info = shipper.write(shipper.append(*FEW), 2)
    place = place_of(info.name)
    assert place == (info.log_id, 2, 6)
    assert place.file_name == info.name


@settings(max_examples=12)
@given(
    runs=st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=4), min_size=1, max_size=4),
    limit=st.integers(1, 20_000),
    rotated=st.booleans(),
)
def test_whatever_was_appended_arrives_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[int]], limit: int, *, rotated: bool
) -> None:
    shipper = Shipper(tmp_path_factory.mktemp("batches"))
    at: dict[str, int] = {}
    arrived: dict[str, list[bytes]] = {}
    blobs: dict[str, bytes] = {}
    known: dict[str, Frontier] = {}
    for number, run in enumerate(runs):
        shipper.append(*(FEW[each] for each in run))
        if rotated and number == 1:
            with shipper.opened() as store:
                store.rotate(SEEN)
        for log in shipper.logs():
            with shipper.opened() as store:
                while store.unshipped(log, at.get(log, 0)):
                    info = store.write_batch(str(shipper.outbox), log, at.get(log, 0), limit_bytes=limit)
                    found = taken(shipper.bytes(info), known=known.get(log))
                    at[log], known[log] = info.size, found.checked.frontier
                    arrived.setdefault(log, []).extend(each.leaf for each in found.entries)
                    assert not blobs.keys() & found.blobs.keys()
                    blobs.update(found.blobs)
                    named = {digest for each in found.entries if each.statement for digest in each.statement.digests()}
                    assert named <= blobs.keys()
    with EvidenceStore.read(str(shipper.state)) as reader:
        assert arrived == {log: tree.split(reader.leaves(log)) for log in shipper.logs()}
