"""Files of the outbox beside a state that lost them, or itself: what only a file still holds is never removed."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.places import places
from agent.signing import mending, shrinking, standing
from agent.signing.clerk import Clerk
from agent.signing.mending import Mending
from agent.signing.policy import Policy, SinkPolicy
from agent.signing.progress import joined, without
from evidence import note
from evidence.batch_form import Place, place_of
from evidence.batch_read import open_batch
from evidence.errors import EvidenceError, StateError
from evidence.keys import PrivateKey
from evidence.note import Checkpoint
from evidence.reader import StoreReader
from tests.agent.signing.running import entries
from tests.agent.signing.spooled import BOTH, DIRECTORY, HUB, VKEY, Made, sha_of


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    made = Made(places(str(tmp_path / "state")), DIRECTORY)
    yield made
    made.clerk.close()


class Apart(Made):
    """A host whose outbox is on another disk than its state."""

    def __init__(self, folder: Path, policy: Policy = DIRECTORY) -> None:
        where = places(str(folder / "state"))
        super().__init__(replace(where, outbox=str(folder / "spool")), policy)

    def began_again(self) -> None:
        """Go on as new processes, with whatever is there now."""
        self.clerk.close()
        self.clerk = Clerk(self.where.state, 1)
        self.again()

    @property
    def state(self) -> Path:
        return Path(self.where.state)

    def adopted(self) -> set[str]:
        return {name for name, each in self.kept().batches.items() if each.adopted}

    def contents(self) -> dict[str, bytes]:
        return {name: Path(self.where.outbox, name).read_bytes() for name in self.names}


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Apart]:
    host = Apart(tmp_path)
    yield host
    host.clerk.close()


def flipped(path: str, at: int) -> bytes:
    """Flip a bit of a file and return what stands there now."""
    data = bytearray(Path(path).read_bytes())
    data[at] ^= 1
    Path(path).write_bytes(data)
    return bytes(data)


def log_of(name: str) -> str:
    return name.rsplit("-", 2)[0]


def cosigned_of(host: Made, name: str, key: PrivateKey = HUB) -> bytes:
    """Return what a hub answers that has taken a batch, whatever this state knows of its log."""
    with open_batch(os.path.join(host.where.outbox, name)) as batch:
        found = batch.check().note
    return found.with_line(note.cosign(found.text, "hub.example", key, 1_800_000_000)).encode()


@pytest.mark.parametrize("loss", ["the state is gone", "the state is an older one"])
def test_batches_that_the_state_cannot_write_again_are_kept_and_delivered(apart: Apart, loss: str) -> None:
    apart.policy = BOTH
    apart.snapshots(1)
    apart.outbox.write()
    shutil.copytree(apart.state, apart.state.parent / "backup")
    apart.snapshots(2, 3)
    apart.outbox.write()
    before = apart.contents()
    apart.clerk.close()
    apart.state.rename(apart.state.parent / "lost")
    if loss == "the state is an older one":
        (apart.state.parent / "backup").rename(apart.state)
    apart.began_again()
    apart.snapshots(4)
    apart.outbox.write()
    assert before.items() <= apart.contents().items()
    news = apart.clerk.news()
    assert all(any(name in line for line in news) == (name in apart.adopted()) for name in before)
    assert apart.adopted()
    assert log_of(apart.names[0]) != log_of(apart.names[-1])  # a new key, since the state is not the one that was left
    left = 0
    for name in before:
        apart.outbox.delivered("stick", name, None, sha_of(apart, name))
        left += apart.outbox.delivered("hub", name, cosigned_of(apart, name), None)
    assert left == len(before)
    assert not before.keys() & set(apart.names)


def test_a_batch_of_a_lost_log_is_acknowledged_by_its_own_tree_and_a_known_hub_only(apart: Apart) -> None:
    apart.policy = Policy({"hub": SinkPolicy("hub", VKEY)})
    apart.snapshots(1)
    apart.outbox.write()
    (name,) = apart.names
    key = PrivateKey.from_pkcs8_pem((apart.state / "keys" / "agent.pem").read_text())
    apart.clerk.close()
    shutil.rmtree(apart.state)
    apart.began_again()
    apart.snapshots(2)
    apart.outbox.write()

    def said(size: int, root: bytes, signer: PrivateKey = key, hub: PrivateKey = HUB) -> bytes:
        origin = f"evidenced/{log_of(name).replace('-', '/')}"
        found = note.sign(Checkpoint(origin, size, root).text(), origin, signer)
        return found.with_line(note.cosign(found.text, "hub.example", hub, 1_800_000_000)).encode()

    other = PrivateKey(b"o" * 32)
    with open_batch(os.path.join(apart.where.outbox, name)) as batch:
        root = batch.check().checkpoint.root
    refused = [said(2, b"f" * 32), said(1, root), said(2, root, signer=other), said(2, root, hub=other), b"200 OK\n"]
    for answer in refused:
        with pytest.raises(EvidenceError):
            apart.outbox.delivered("hub", name, answer, None)
    assert name in apart.names
    assert apart.outbox.delivered("hub", name, said(5, b"g" * 32), None) == 1  # the log went on after this batch


def test_a_state_of_which_the_image_was_put_back_is_proved_by_its_own_outbox(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evidence.identity.inode", lambda _: 1)  # nothing in the state itself can tell
    monkeypatch.setattr("evidence.opening._laid_over", lambda *_: False)
    apart.snapshots(1)
    apart.outbox.write()
    shutil.copytree(apart.state, apart.state.parent / "image")
    apart.snapshots(2, 3)
    apart.outbox.write()
    ahead = apart.names[-1]
    apart.clerk.close()
    shutil.rmtree(apart.state)
    (apart.state.parent / "image").rename(apart.state)
    apart.began_again()
    apart.outbox.write()
    apart.snapshots(4)
    apart.outbox.write()
    assert {ahead} < set(apart.names)
    with StoreReader(str(apart.state)) as reader:
        old, new = reader.logs()
    assert (old.size, new.id) == (2, f"{old.id.partition('-')[0]}-2")


def test_a_batch_that_a_crash_came_before_noting_is_not_written_again(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    made.snapshots(1)
    with monkeypatch.context() as patch:
        patch.setattr("agent.signing.progress.Progress.wrote", crash)
        with pytest.raises(KeyboardInterrupt):
            made.outbox.write()
    facts = os.stat(os.path.join(made.where.outbox, made.names[0]))
    assert made.again().write() == 0
    assert made.spans == [(0, 2)]
    assert os.stat(os.path.join(made.where.outbox, made.names[0])).st_ino == facts.st_ino


def test_without_progress_only_what_no_file_holds_is_written(made: Made) -> None:
    for rows in (1, 2, 3):
        made.snapshots(rows)
        made.outbox.write()
    made.outbox.delivered("stick", made.names[0], None, sha_of(made, made.names[0]))
    Path(made.where.state, "outbox.json").unlink()
    assert made.again().write() == 1
    assert made.spans == [(0, 2), (2, 3), (3, 4)]
    assert (made.outbox.write(), made.outbox.left()) == (0, False)


def test_an_outbox_that_takes_too_long_to_look_at_is_looked_at_bit_by_bit(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mending, "LOOK_S", -1)
    for rows in (1, 2, 3):
        made.snapshots(rows)
        made.outbox.write()
    made.snapshots(4)
    Path(made.where.state, "outbox.json").unlink()
    for _ in range(2):
        with pytest.raises(StateError, match="try again in a moment"):
            made.again().write()  # another process each time
    assert made.again().write() == 1
    assert made.spans == [(0, 2), (2, 3), (3, 4), (4, 5)]


def test_a_file_that_is_no_sound_batch_is_kept_under_another_name_each_time(made: Made) -> None:
    made.snapshots(1)
    made.outbox.write()
    (name,) = made.names
    path = os.path.join(made.where.outbox, name)
    for _ in range(2):
        damaged = flipped(path, 200)
        Path(made.where.state, "outbox.json").unlink()
        assert made.again().write() == 1
    aside = standing.are_aside(made.where.outbox)
    assert aside == [f"{name}.damaged", f"{name}.damaged.2"]
    assert Path(made.where.outbox, aside[1]).read_bytes() == damaged
    assert made.spans == [(0, 2)]


@pytest.mark.parametrize("kind", ["a folder", "a link", "another batch", "nothing in it", "a part of it"])
def test_what_only_has_the_name_of_a_batch_is_in_nobodys_way(made: Made, kind: str) -> None:
    made.snapshots(1)
    made.outbox.write()
    made.snapshots(2)
    made.outbox.write()
    first, second = (Path(made.where.outbox, name) for name in made.names)
    good = first.read_bytes()
    first.unlink()
    if kind == "a folder":
        first.mkdir()
    elif kind == "a link":
        first.symlink_to(second)
    else:
        first.write_bytes({"another batch": second.read_bytes(), "nothing in it": b""}.get(kind, good[:-100]))
    Path(made.where.state, "outbox.json").unlink()
    made.again().write()
    assert made.spans == [(0, 2), (2, 3)]
    assert first.read_bytes() == good
    assert standing.are_aside(made.where.outbox) == [f"{first.name}.damaged"]


def test_what_the_outbox_still_has_is_not_written_once_more(apart: Apart) -> None:
    apart.policy = BOTH
    apart.snapshots(1, 2)
    apart.outbox.write()
    apart.snapshots(3, 4)
    apart.outbox.write()
    assert apart.outbox.again(log_of(apart.names[0]), 0) == 0
    assert apart.spans == [(0, 3), (3, 5)]


def test_what_a_hub_asks_for_once_more_fills_the_holes_between_batches_that_wait(apart: Apart) -> None:
    for rows in (1, 2, 3):
        apart.snapshots(rows)
        apart.outbox.write()
    first, middle, last = apart.names
    for name in (first, last):
        apart.outbox.delivered("stick", name, None, sha_of(apart, name))
    assert apart.outbox.again(log_of(first), 1) == 2
    assert apart.spans == [(1, 2), (2, 3), (3, 4)]
    assert middle in apart.names
    assert apart.outbox.write() == 0


def test_a_hub_that_asks_again_costs_no_batch_that_the_log_cannot_write_any_more(apart: Apart) -> None:
    apart.policy = BOTH
    apart.snapshots(1, 2, 3)
    apart.outbox.write()
    before = apart.contents()
    (name,) = before
    apart.clerk.close()
    (segment,) = apart.state.glob("logs/*/segments/*")
    flipped(str(segment), segment.stat().st_size // 2)
    (apart.state / "index.sqlite").unlink()
    apart.began_again()
    apart.snapshots(4)
    apart.outbox.write()
    apart.outbox.again(log_of(name), 0)
    assert before.items() <= apart.contents().items()
    apart.outbox.delivered("stick", name, None, sha_of(apart, name))
    assert apart.outbox.delivered("hub", name, cosigned_of(apart, name), None) == 1


def test_an_entry_that_damage_took_from_the_log_is_kept_in_the_batch_that_has_it(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shrinking, "WORTH_BYTES", 100)
    apart.snapshots(1, 2, 3)
    apart.outbox.write()
    before = apart.contents()
    (name,) = before
    apart.clerk.close()
    (segment,) = apart.state.glob("logs/*/segments/*")
    data = segment.read_bytes()
    flipped(str(segment), data.index(b'{"payload"', 4000) + 40)
    apart.began_again()
    apart.snapshots(4)
    assert "damage" in entries(str(apart.state))
    apart.policy = Policy(DIRECTORY.sinks, 1)
    apart.began_again()
    apart.outbox.write()
    apart.outbox.refused("stick", name, "too-large: 413")
    assert before.items() <= apart.contents().items()
    assert apart.kept().batches[name].adopted


@pytest.mark.parametrize("at", [60, -30], ids=["in its head", "near its end"])
@pytest.mark.parametrize("told", ["delivered", "refused"])
def test_a_bit_that_flips_in_a_batch_is_mended_when_somebody_stumbles_over_it(apart: Apart, at: int, told: str) -> None:
    apart.snapshots(1)
    apart.outbox.write()
    apart.snapshots(2)
    apart.outbox.write()
    good = apart.contents()
    name, _ = good
    path = os.path.join(apart.where.outbox, name)
    flipped(path, at)
    if told == "delivered":
        with pytest.raises(EvidenceError, match="digest"):
            apart.outbox.delivered("stick", name, None, standing.digest(path))
    else:
        apart.outbox.refused("stick", name, "expected a batch, found another file")
    assert apart.contents() == good
    assert apart.kept().batches[name].refused == {}
    assert apart.outbox.delivered("stick", name, None, standing.digest(path)) == 1


def test_a_batch_that_was_lost_unseen_is_written_when_it_is_refused(made: Made) -> None:
    made.snapshots(1)
    made.outbox.write()
    (name,) = made.names
    os.unlink(os.path.join(made.where.outbox, name))
    made.outbox.refused("stick", name, "gone")
    assert made.names == [name]


def test_a_damaged_batch_of_a_log_that_is_lost_is_kept_aside_and_waits_for_nobody(apart: Apart) -> None:
    apart.snapshots(1)
    apart.outbox.write()
    (name,) = apart.names
    apart.clerk.close()
    shutil.rmtree(apart.state)
    apart.began_again()
    apart.snapshots(2)
    apart.outbox.write()
    damaged = flipped(os.path.join(apart.where.outbox, name), 60)
    apart.outbox.refused("stick", name, "expected a batch, found another file")
    assert name not in apart.kept().batches
    assert Path(apart.where.outbox, f"{name}.damaged").read_bytes() == damaged
    assert f"outbox: {name} is no sound batch; it is kept as {name}.damaged, see evidenced doctor" in apart.clerk.news()
    assert apart.again().write() == 0


def test_a_sound_file_with_another_digest_than_was_noted_is_delivered_as_it_is(made: Made) -> None:
    made.snapshots(1)
    made.outbox.write()
    (name,) = made.names
    progress = Path(made.where.state, "outbox.json")
    said = json.loads(progress.read_text())
    said["batches"][name]["sha256"] = "0" * 64
    progress.write_text(json.dumps(said))
    sha256 = standing.digest(os.path.join(made.where.outbox, name))
    assert made.again().delivered("stick", name, None, sha256) == 1


def test_a_batch_is_delivered_by_the_digest_that_it_had_before_it_was_trimmed(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shrinking, "WORTH_BYTES", 100)
    made.snapshots(2000)
    made.outbox.write()
    (name,) = made.names
    sent = sha_of(made, name)
    made.policy = Policy(DIRECTORY.sinks, 1)
    made.again().write()
    assert sha_of(made, name) != sent
    assert made.outbox.delivered("stick", name, None, sent) == 1


def test_a_log_that_was_closed_by_a_rotation_is_cut_where_it_left_a_signature_and_else_goes_bare(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evidence.steps.STEP_BYTES", 4000)
    made.snapshots(1, 2, 3, 4, 5)
    made.clerk.rotate({})
    assert made.outbox.write() == 2
    with StoreReader(made.where.state) as reader:
        old = reader.logs()[0].id
    for _ in range(6):
        for name in [each for each in made.names if log_of(each) == old]:
            made.outbox.refused("stick", name, "too-large: 413")
    parts = sorted(place for place in map(place_of, made.names) if place is not None and place.log_id == old)
    assert len(parts) > 2
    assert (parts[0].first, parts[-1].size) == (0, 7)
    assert all(before.size == after.first for before, after in itertools.pairwise(parts))
    assert all(made.kept().batches[each.file_name].bare for each in parts)


def test_a_log_that_left_no_signature_goes_without_its_blobs(made: Made) -> None:
    made.snapshots(1, 2, 3, 4)
    made.outbox.write()
    made.clerk.rotate({})
    made.outbox.write()
    (closed,) = (name for name in made.names if name.endswith("-000000000000-000000000005.tar.gz"))
    made.outbox.refused("stick", closed, "too-large: 413")
    assert made.kept().batches[closed].bare
    made.outbox.refused("stick", closed, "too-large: 413")
    assert closed in made.names


def test_ten_thousand_batches_that_are_gone_are_counted_in_a_moment(made: Made) -> None:
    made.snapshots(1)
    made.outbox.write()
    (name,) = made.names
    progress = made.outbox.progress
    batch = progress.batches.pop(name)
    os.unlink(os.path.join(made.where.outbox, name))
    progress.next[log_of(name)] = 20_000
    progress.batches |= {Place(log_of(name), at, at + 1).file_name: batch for at in (*range(10_000), 15_000)}
    began = time.process_time()
    Mending(made.where.outbox, made.clerk).agree(progress)
    assert time.process_time() - began < 2  # a tenth of that; what grows with the square takes minutes
    assert progress.holes == {log_of(name): [(0, 10_000), (15_000, 15_001)]}


SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)).map(lambda each: (each[0], sum(each))), max_size=12)


@given(first=st.integers(0, 20), length=st.integers(0, 20), others=SPANS)
def test_what_is_left_of_a_span_is_every_entry_that_no_other_holds(
    first: int, length: int, others: list[tuple[int, int]]
) -> None:
    held = {at for start, stop in others for at in range(start, stop)}
    left = without((first, first + length), others)
    assert [at for start, stop in left for at in range(start, stop)] == [
        at for at in range(first, first + length) if at not in held
    ]
    assert all(start < stop for start, stop in left)
    assert [at for start, stop in joined(others) for at in range(start, stop)] == sorted(held)
