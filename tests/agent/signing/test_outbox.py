"""The outbox: batches wait until every sink has them, within a budget, and nothing is lost on the way."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

import evidence.predicates
from agent.places import SYSTEM, places
from agent.signing import progress as progress_file
from agent.signing import shrinking
from agent.signing.clerk import Clerk
from agent.signing.outbox import COALESCE_S, SPACING_S
from agent.signing.policy import NOTHING, UNKNOWN, Policy, SinkPolicy, config_of, policy_of
from agent.signing.protocol import Event, Signed, Snapshot
from agent.signing.service import GIVE_BACK_S, Service
from agent.signing.session import Request
from evidence import note
from evidence.batch_form import Place, place_of
from evidence.batch_read import open_batch
from evidence.errors import DamageError, EvidenceError, FormatError, PackError, StateError
from evidence.keys import NOTE_COSIGNATURE, PrivateKey
from evidence.reader import StoreReader
from tests.agent.signing.running import collection, entries
from tests.agent.signing.spooled import BOTH, DIRECTORY, VKEY, Made, sha_of


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    made = Made(places(str(tmp_path / "state")), DIRECTORY)
    yield made
    made.clerk.close()


def test_without_a_sink_nothing_is_written(made: Made) -> None:
    made.policy = NOTHING
    made.snapshots(1)
    assert (made.outbox.write(), made.outbox.left(), made.names) == (0, False, [])


def test_the_folder_is_made_with_those_above_it_where_no_package_did(tmp_path: Path) -> None:
    spool = tmp_path / "spool" / "evidenced"
    made = Made(replace(places(str(tmp_path / "state")), outbox=str(spool / "outbox")), DIRECTORY)
    made.snapshots(1)
    assert made.outbox.write() == 1
    made.clerk.close()
    assert (spool / "outbox").stat().st_mode & 0o777 == 0o700


def test_batches_follow_each_other_without_a_hole_and_read_well(made: Made) -> None:
    for rows in (1, 2, 3):
        made.snapshots(rows)
        assert made.outbox.write() == 1
    assert made.outbox.write() == 0
    assert made.spans == [(0, 2), (2, 3), (3, 4)]
    for name in made.names:
        with open(os.path.join(made.where.outbox, name), "rb") as file, open_batch(file) as batch:
            batch.check()
            assert len(list(batch.entries())) == batch.place.size - batch.place.first


def test_a_batch_leaves_when_every_sink_has_it_and_not_before(made: Made) -> None:
    made.policy = BOTH
    made.snapshots(1)
    made.outbox.write()
    (name,) = made.names
    assert made.outbox.delivered("stick", name, None, sha_of(made, name)) == 0
    assert made.names == [name]
    assert made.again().delivered("hub", name, made.cosigned(), None) == 1
    assert made.names == []
    assert made.outbox.delivered("stick", name, None, "0" * 64) == 0  # told twice


def test_a_newer_cosignature_is_worth_every_batch_before_it(made: Made) -> None:
    made.policy = Policy({"hub": SinkPolicy("hub", VKEY)})
    for rows in (1, 2):
        made.snapshots(rows)
        made.outbox.write()
    assert made.outbox.delivered("hub", made.names[0], made.cosigned(), None) == 2


def test_a_bare_word_is_no_acknowledgement_of_a_hub(made: Made) -> None:
    made.policy = Policy({"hub": SinkPolicy("hub", VKEY)})
    made.snapshots(1)
    made.outbox.write()
    (name,) = made.names
    with StoreReader(made.where.state) as reader:
        bare = reader.checkpoint(reader.logs()[-1].id)
    other = PrivateKey(b"o" * 32)
    for said in (bare, made.cosigned(key=other), made.cosigned(key=other, name="other"), b"200 OK\n", b""):
        with pytest.raises(EvidenceError):
            made.outbox.delivered("hub", name, said, None)
    with pytest.raises(FormatError, match="the hub's signature"):
        made.outbox.delivered("hub", name, None, sha_of(made, name))
    assert made.names == [name]


def test_a_cosignature_of_less_than_the_batch_is_none_of_it(made: Made) -> None:
    made.policy = Policy({"hub": SinkPolicy("hub", VKEY)})
    made.snapshots(1)
    made.outbox.write()
    old = made.cosigned()
    made.snapshots(2)
    made.outbox.write()
    with pytest.raises(EvidenceError):
        made.outbox.delivered("hub", made.names[1], old, None)
    assert len(made.names) == 2


def test_a_folder_is_believed_the_digest_of_the_batch_only(made: Made) -> None:
    made.snapshots(1)
    made.outbox.write()
    for wrong in (None, "0" * 64):
        with pytest.raises(FormatError, match="digest"):
            made.outbox.delivered("stick", made.names[0], None, wrong)
    with pytest.raises(StateError, match="sink nosuch"):
        made.outbox.delivered("nosuch", made.names[0], None, None)


def test_a_hub_is_believed_with_the_key_of_a_signed_enrolment(made: Made) -> None:
    made.policy = Policy({"hub": SinkPolicy("hub")})
    made.snapshots(1)
    made.outbox.write()
    (name,) = made.names
    with pytest.raises(StateError, match="run evidenced enroll"):
        made.outbox.delivered("hub", name, made.cosigned(), None)
    made.ask(Event(kind="enrolled", fields={"hub": "hub.example", "vkey": VKEY}, details={}, labels={}))
    os.unlink(os.path.join(made.where.state, progress_file.NAME))  # it can be rebuilt from what is signed
    made.again().write()
    assert made.outbox.delivered("hub", made.names[-1], made.cosigned(), None) == 2


def test_a_refused_batch_stays_and_says_why(made: Made) -> None:
    made.snapshots(1)
    made.outbox.write()
    (name,) = made.names
    made.outbox.refused("stick", name, "signature: not enrolled")
    assert made.kept().batches[name].refused == {"stick": "signature: not enrolled"}
    assert made.outbox.delivered("stick", name, None, sha_of(made, name)) == 1


def test_a_batch_that_is_too_large_becomes_two_and_one_of_one_entry_goes_without_blobs(made: Made) -> None:
    made.snapshots(1, 2, 3)
    made.outbox.write()
    assert made.spans == [(0, 4)]
    made.outbox.refused("stick", made.names[0], "too-large: 413")
    assert made.spans == [(0, 2), (2, 4)]
    made.outbox.refused("stick", made.names[1], "too-large: 413")
    made.outbox.refused("stick", made.names[2], "too-large: 413")
    assert made.spans == [(0, 2), (2, 3), (3, 4)]
    assert made.kept().batches[made.names[2]].bare
    assert entries(made.where.state)[-1] == "spool-trimmed"


def test_over_the_budget_the_oldest_go_without_blobs_and_each_is_signed_with_exact_counts(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shrinking, "WORTH_BYTES", 100)
    for rows in (2000, 2001, 2002):
        made.snapshots(rows)
        made.outbox.write()
    before = made.kept().batches
    names = list(before)
    made.policy = Policy(DIRECTORY.sinks, before[names[2]].bytes + before[names[1]].bytes + 8000)
    made.again().write()
    after = made.kept().batches
    assert [after[name].bare for name in names] == [True, False, False]
    with StoreReader(made.where.state) as reader:
        log = reader.logs()[-1]
        statement = reader.entry(log.id, log.size - 1).statement
        assert statement is not None
        event = statement.predicate.event  # type: ignore[union-attr]
        details = json.loads(reader.blob(statement.subjects()["event"]) or b"")
    old, new = before[names[0]], after[names[0]]
    assert (event["kind"], event["old"], event["new"]) == ("spool-trimmed", old.sha256, new.sha256)
    assert (event["blobs"], event["bytes"]) == (old.blobs - new.blobs, old.bytes - new.bytes)
    assert details == {"batch": names[0]}
    assert made.names[:3] == names
    with open(os.path.join(made.where.outbox, names[0]), "rb") as file, open_batch(file) as batch:
        batch.check()
        assert len(list(batch.entries())) == 2


def test_a_budget_that_cannot_be_kept_does_not_sign_for_ever(made: Made) -> None:
    made.policy = Policy(DIRECTORY.sinks, 1)
    for rows in range(1, 6):
        made.snapshots(rows)
        made.outbox.write()
    assert entries(made.where.state).count("spool-trimmed") == 0
    assert len(made.names) == 5


def test_a_replacement_that_a_crash_cut_short_is_signed_in_the_end(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made.snapshots(2000)
    made.outbox.write()
    old = made.kept().batches[made.names[0]]
    made.policy = Policy(DIRECTORY.sinks, 1)
    monkeypatch.setattr(shrinking, "WORTH_BYTES", 100)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Clerk, "trimmed", crash)
        with pytest.raises(KeyboardInterrupt):
            made.again().write()
    made.again().write()
    assert entries(made.where.state).count("spool-trimmed") == 1
    with StoreReader(made.where.state) as reader:
        log = reader.logs()[-1]
        said = [each.statement for each in reader.entries(log.id)]
    events = [each.predicate.event for each in said if isinstance(each, evidence.predicates.Event)]
    assert [each["old"] for each in events if each["kind"] == "spool-trimmed"] == [old.sha256]


@pytest.mark.parametrize("loss", ["progress", "damage", "batch", "folder"])
def test_whatever_is_lost_of_the_outbox_every_entry_is_in_it_again(made: Made, loss: str) -> None:
    for rows in (1, 2, 3):
        made.snapshots(rows)
        made.outbox.write()
    progress = Path(made.where.state, progress_file.NAME)
    if loss == "progress":
        progress.unlink()
    elif loss == "damage":
        progress.write_bytes(progress.read_bytes()[:-10])
    elif loss == "batch":
        os.unlink(os.path.join(made.where.outbox, made.names[1]))
    else:
        for name in made.names:
            os.unlink(os.path.join(made.where.outbox, name))
        os.rmdir(made.where.outbox)
    made.again().write()
    spans = made.spans
    assert spans[0][0] == 0
    assert spans[-1][1] == 4
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    assert set(made.names) == set(made.kept().batches)


def test_a_hub_that_was_put_back_gets_everything_from_its_size_on_once_more(made: Made) -> None:
    for rows in (1, 2, 3):
        made.snapshots(rows)
        made.outbox.write()
        (name,) = made.names
        made.outbox.delivered("stick", name, None, sha_of(made, name))
    place = place_of(name)
    assert place is not None
    assert made.outbox.again(place.log_id, 2) == 1
    assert made.spans == [(2, 4)]
    with pytest.raises(StateError, match="an entry 4"):
        made.outbox.again(place.log_id, 4)


def test_a_rotated_key_has_batches_of_both_logs(made: Made) -> None:
    made.snapshots(1)
    made.clerk.rotate({})
    made.snapshots(2)
    assert made.outbox.write() == 2
    assert sorted(made.spans) == [(0, 2), (0, 3)]


def test_the_schedule_waits_a_quarter_of_an_hour_and_a_change_a_moment(made: Made) -> None:
    made.snapshots(1)
    assert made.outbox.wait_s(urgent=False) == COALESCE_S
    made.outbox.write()
    made.wall += 100
    assert made.outbox.wait_s(urgent=False) == SPACING_S - 100
    assert made.outbox.wait_s(urgent=True) == COALESCE_S
    made.wall -= 10_000  # somebody set the clock back
    assert made.outbox.wait_s(urgent=False) == COALESCE_S


def test_what_the_schedule_brings_is_written_after_the_service_was_asked_and_not_while(made: Made) -> None:
    service = Service(made.clerk, made.outbox)
    scheduled = Snapshot(tables=("users",), promise={}, reason="scheduled", privileged=True, labels={})
    service.act(Request(scheduled, (collection(),)), 0)
    now = time.monotonic()
    due = service.pause(now)
    assert due is not None
    assert (made.names, service.pause(due)) == ([], None)
    assert made.spans == [(0, 2)]
    service.act(Request(scheduled, (collection(2),)), 0)
    assert service.pause(time.monotonic() + GIVE_BACK_S) is None  # too far away to wait for
    service.finish()
    assert made.spans == [(0, 2)]
    service.act(Request(Event(kind="agent-stopped", fields={}, details={}, labels={})), 0)
    service.finish()
    assert made.spans == [(0, 2), (2, 4)]


def test_an_outbox_that_cannot_be_written_stops_nobody_from_signing(
    made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PackError("outbox", "a batch written whole", "no space left on device")

    service = Service(made.clerk, made.outbox)
    monkeypatch.setattr("evidence.log.EvidenceStore.write_batch", refuse)
    change = Snapshot(tables=("users",), promise={}, reason="change", privileged=True, labels={})
    for _ in range(2):
        assert isinstance(service.act(Request(change, (collection(),)), 0), Signed)
        service.pause(time.monotonic() + 1000)
    assert "no space left on device" in capsys.readouterr().err


def test_sinks_and_budget_come_from_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(
        '[outbox]\nlimit = "64MiB"\n[retention]\ndays = 100\nprune_every = "2h"\n'
        f'[[sinks]]\nname = "stick"\ntype = "directory"\npath = "{tmp_path}"\n'
        f'[[sinks]]\nname = "hub"\ntype = "hub"\nurl = "https://hub.example"\nvkey = "{VKEY}"\n'
    )
    assert policy_of(str(file)) == Policy(BOTH.sinks, 64 << 20, 100, 7200)


def test_a_configuration_with_a_problem_writes_nothing_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("sink = 1\n")
    assert policy_of(str(file)) == UNKNOWN
    assert "sink" in capsys.readouterr().err


def test_a_name_that_is_no_batch_is_damage(made: Made) -> None:
    with pytest.raises(EvidenceError):
        made.outbox.delivered("stick", "../../etc/passwd", None, None)
    assert place_of(Place("0" * 16 + "-1", 0, 1).file_name) is not None


SCHEDULED = Snapshot(tables=("users",), promise={}, reason="scheduled", privileged=True, labels={})


def test_rows_past_their_days_are_removed_once_a_day_without_being_asked_for(made: Made) -> None:
    made.policy = NOTHING
    service = Service(made.clerk, made.outbox, disciplined=lambda: True)
    made.wall = time.time() + (NOTHING.keep_days + 1) * 86_400
    for rows in (1, 2, 3):
        service.act(Request(SCHEDULED, (collection(rows),)), 0)
        service.pause(time.monotonic())
        made.wall += 60
    assert entries(made.where.state).count("pruned") == 0  # the first time there was nothing yet
    made.wall += NOTHING.prune_every_s
    service.act(Request(SCHEDULED, (collection(3),)), 0)
    assert entries(made.where.state).count("pruned") == 0  # not while somebody waits
    service.pause(time.monotonic())
    assert entries(made.where.state).count("pruned") == 1


def test_while_nobody_asks_the_state_is_open_to_other_writers(made: Made) -> None:
    made.policy = NOTHING
    service = Service(made.clerk, made.outbox)
    service.act(Request(SCHEDULED, (collection(1),)), 0)
    asked = time.monotonic()
    again = service.pause(asked)
    assert again is not None
    assert again - asked <= GIVE_BACK_S
    open_then, never = made.clerk.busy, service.pause(again)
    assert (open_then, never, made.clerk.busy) == (True, None, False)
    service.act(Request(SCHEDULED, (collection(2),)), 0)
    assert entries(made.where.state).count("snapshot") == 2


@pytest.mark.parametrize(("ahead_days", "pruned"), [(0.5, 1), (2, 0)])
def test_where_the_kernel_cannot_be_asked_a_hub_that_cosigned_lately_vouches_for_the_clock(
    made: Made, ahead_days: float, pruned: int
) -> None:
    keep = NOTHING.keep_days * 86_400
    made.policy = replace(BOTH, prune_every_s=NOTHING.prune_every_s)
    for rows in (1, 2):  # made now, which by the hub's clock and ours is long ago
        made.snapshots(rows)
    made.wall = time.time() + keep + 86_400
    made.outbox.write()
    said = made.cosigned(at=int(made.wall))
    made.outbox.delivered("hub", made.names[-1], said, None)
    service = Service(made.clerk, made.outbox, disciplined=lambda: None)
    made.wall += ahead_days * 86_400
    service.act(Request(SCHEDULED, (collection(2),)), 0)
    service.pause(time.monotonic())
    assert entries(made.where.state).count("pruned") == pruned


@pytest.mark.parametrize(
    ("disciplined", "policy"),
    [(False, NOTHING), (None, NOTHING), (True, UNKNOWN)],
    ids=["the clock is off", "the clock is unknown", "the configuration has problems"],
)
def test_nothing_is_removed_by_a_clock_or_a_configuration_that_cannot_be_relied_on(
    made: Made, disciplined: bool | None, policy: Policy
) -> None:
    made.policy = policy
    service = Service(made.clerk, made.outbox, disciplined=lambda: disciplined)
    for rows, days in enumerate((0, NOTHING.keep_days + 1, 3650), 1):
        made.wall = time.time() + days * 86_400
        service.act(Request(SCHEDULED, (collection(rows),)), 0)
        service.pause(time.monotonic())
    assert set(entries(made.where.state)) == {"log-opened", "snapshot"}


def test_the_service_reads_the_configuration_of_the_system_whoever_asks(tmp_path: Path) -> None:
    assert config_of(None, SYSTEM) == "/etc/evidenced/agent.toml"
    assert config_of("/x", SYSTEM) == "/x"
    assert config_of(None, places(str(tmp_path))) is None


def test_a_fork_that_our_own_key_signed_begins_a_new_epoch_and_any_other_note_does_not(made: Made) -> None:
    made.snapshots(1)
    made.outbox.write()
    (name,) = made.names
    key = PrivateKey.from_pkcs8_pem(Path(made.where.state, "keys/agent.pem").read_text())
    with StoreReader(made.where.state) as reader:
        origin = reader.logs()[-1].origin
    for signer in (PrivateKey(b"x" * 32), key):
        text = note.Checkpoint(origin, 2, b"f" * 32).text()
        proof = note.sign(text, origin, signer).encode()
        made.outbox.refused("stick", name, "fork: the hub has another history", proof)
        made.snapshots(2)
        with StoreReader(made.where.state) as reader:
            assert (reader.logs()[-1].origin == origin) == (signer is not key)
    assert made.outbox.write() == 2


def test_a_log_that_damage_took_keeps_no_later_log_from_delivery(made: Made) -> None:
    made.snapshots(1, 2, 3)
    made.clerk.close()
    (segment,) = Path(made.where.state, "logs").glob("*/segments/*")
    segment.write_bytes(segment.read_bytes()[:300])
    Path(made.where.state, "index.sqlite").unlink()
    made.snapshots(4)
    with StoreReader(made.where.state) as reader:
        old, new = (each.id for each in reader.logs())
    assert made.outbox.write() == 1
    assert {place.log_id for place in map(place_of, made.names) if place is not None} == {new}
    with pytest.raises(DamageError, match=old.rpartition("-")[0]):  # nothing else is left, so it is said
        made.outbox.write()
    made.snapshots(5)
    assert made.outbox.write() == 1


def test_a_hub_that_a_later_log_enrols_with_is_known_though_damage_took_an_earlier_one(made: Made) -> None:
    first, second = (PrivateKey(each * 32).public.vkey("hub.example", NOTE_COSIGNATURE) for each in (b"1", b"2"))

    def enrol(vkey: str) -> None:
        made.ask(Event(kind="enrolled", fields={"hub": "hub.example", "vkey": vkey}, details={}, labels={}))

    enrol(first)
    made.snapshots(1, 2)
    made.clerk.close()
    (segment,) = Path(made.where.state, "logs").glob("*/segments/*")
    segment.write_bytes(segment.read_bytes()[:-300])
    Path(made.where.state, "index.sqlite").unlink()
    enrol(second)
    Path(made.where.state, "outbox.json").unlink()
    assert made.kept().hubs == [first, second]


def test_an_outbox_that_cannot_be_looked_at_stops_nobody_from_signing(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    made.snapshots(1)
    made.outbox.write()
    outbox = Path(made.where.outbox)
    os.unlink(outbox / made.names[0])
    outbox.rmdir()
    outbox.touch()
    Path(made.where.state, "outbox.json").unlink()
    made.again()
    service = Service(made.clerk, made.outbox)
    for _ in range(2):  # nor does half of a look count as one
        alive = Request(Event(kind="heartbeat", fields={}, details={}, labels={}))
        assert isinstance(service.act(alive, 0), Signed)
        service.finish()
        assert capsys.readouterr().err == f"evidenced _sign: {outbox}: file exists\n"
    outbox.unlink()
    service.act(alive, 0)
    service.finish()
    assert made.spans == [(0, 5)]


def test_a_budget_is_kept_over_ten_thousand_batches_in_a_moment(made: Made) -> None:
    made.snapshots(1)
    made.outbox.write()
    (name,) = made.names
    batch = made.outbox.progress.batches.pop(name)
    log_id = name.rsplit("-", 2)[0]
    many = {Place(log_id, at, at + 1).file_name: batch for at in range(10_000)}
    made.outbox.progress.batches |= many
    began = time.process_time()
    shrinking.Shrinking(made.where.outbox, made.clerk, lambda _: None).trim(made.outbox.progress, DIRECTORY.limit_bytes)
    assert time.process_time() - began < 2  # a tenth of that; what grows with the square takes minutes
