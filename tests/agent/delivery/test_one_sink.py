"""One sink over many attempts: what is tried when, what is remembered, and what the signer is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.delivery.errors import AnswerError, SettingsError, UnreachableError, UntrustedError
from agent.delivery.outbox import Outgoing
from agent.delivery.progress import look
from agent.delivery.results import Behind, Held, Parked, Result, Retry, Unknown
from agent.delivery.standing import HELD_S
from evidence.accepting import ReceiptError, RestoredError
from evidence.errors import BusyError, StateError
from tests.agent.delivery.batches import Clock, Told, cosigned, host
from tests.agent.delivery.playing import Answer, Playing, Stand, acknowledges


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    made = host(tmp_path, batches=3)
    return Stand(made, tmp_path / "upload", Told(made), Clock())


def test_batches_go_in_order_and_the_signer_is_told_of_each(stand: Stand) -> None:
    outcome, seen = stand.attempt(acknowledges)
    names = stand.host.names()
    assert seen == names
    assert stand.signer.delivered_to == [("hub", name, size) for name, size in zip(names, (2, 4, 6), strict=True)]
    assert (outcome.delivered, outcome.left, outcome.wait_s) == (3, 0, None)


def test_what_was_delivered_is_not_sent_again(stand: Stand) -> None:
    stand.attempt(acknowledges)
    _, seen = stand.attempt(acknowledges)
    assert seen == []


def test_what_was_delivered_is_sent_again_when_the_progress_is_lost(stand: Stand) -> None:
    stand.attempt(acknowledges)
    (stand.folder / "sinks/hub.json").write_bytes(b"\x00 not what was written")
    _, seen = stand.attempt(acknowledges)
    assert seen == stand.host.names()


def test_an_acknowledgement_is_kept_as_it_came_the_newest_of_each_log(stand: Stand) -> None:
    stand.attempt(acknowledges)
    (kept,) = (stand.folder / "receipts" / stand.host.log_id).iterdir()
    with stand.host.opened(stand.host.names()[2]) as last:
        assert (kept.name, kept.read_bytes()) == ("000000000006-hub", cosigned(last))


def test_a_failure_stops_the_sink_and_each_next_waits_twice_as_long(stand: Stand) -> None:
    waits = []
    for _ in range(12):
        outcome, seen = stand.attempt(Retry("status 503"))
        assert len(seen) == 1
        waits.append(outcome.wait_s)
        stand.clock.pass_(outcome.wait_s or 0)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert stand.attempt(acknowledges)[0].left == 0
    assert look(str(stand.folder), "hub").failures == 0


def test_nothing_is_tried_before_its_time_unless_by_hand(stand: Stand) -> None:
    stand.attempt(Retry("busy", 100.0))
    stand.clock.pass_(99)
    outcome, seen = stand.attempt(acknowledges)
    assert (seen, outcome.wait_s) == ([], 1)
    assert stand.attempt(acknowledges, by_hand=True)[0].left == 0


def test_what_comes_after_a_success_by_hand_does_not_wait_for_what_failed_before_it(stand: Stand) -> None:
    for failure in (Retry("busy", 100.0), Held("status 401")):
        stand.attempt(failure)
        stand.clock.pass_(1)
        newest = stand.host.outbox / stand.host.names()[-1]
        later = newest.rename(stand.folder / newest.name)
        assert stand.attempt(acknowledges, by_hand=True)[0].left == 0
        later.rename(newest)
        assert stand.attempt(acknowledges)[1] == [newest.name]
        (stand.folder / "sinks/hub.json").unlink()


def test_another_boot_does_not_wait_for_the_clock_of_the_last(stand: Stand) -> None:
    stand.attempt(Retry("busy", 3600.0))
    stand.clock.boot, stand.clock.seconds = "next", 5
    assert stand.attempt(acknowledges)[0].left == 0


def test_a_host_that_was_away_for_long_begins_at_a_random_time(stand: Stand) -> None:
    stand.attempt(acknowledges)
    stand.host.sign(2)
    stand.host.write(6)
    stand.clock = Clock(seconds=5, boot="next", wall=stand.clock.wall + 90 * 86400)
    outcome, seen = stand.attempt(acknowledges)
    assert (seen, outcome.wait_s) == ([], 900)
    stand.clock.pass_(900)
    assert stand.attempt(acknowledges)[0].left == 0


@pytest.mark.parametrize(
    "error", [UnreachableError("a", "b", "c"), AnswerError("a", "b", "c"), OSError(5, "Input/output error")]
)
def test_what_passes_by_itself_is_tried_again_soon(stand: Stand, error: Exception) -> None:
    outcome, _ = stand.attempt(error)
    assert (outcome.held, outcome.wait_s) == (False, 1)


@pytest.mark.parametrize("trouble", [UntrustedError("a", "b", "c"), SettingsError("a", "b", "c"), Held("status 401")])
def test_what_needs_somebody_to_look_is_held_said_once_and_tried_every_quarter_hour(
    stand: Stand, trouble: Answer
) -> None:
    for _ in range(3):
        outcome, seen = stand.attempt(trouble)
        assert (outcome.held, outcome.wait_s, len(seen)) == (True, HELD_S, 1)
        stand.clock.pass_(HELD_S)
    assert len(stand.said) == 1
    assert look(str(stand.folder), "hub").state == "held"
    assert stand.attempt(acknowledges)[0].left == 0
    assert look(str(stand.folder), "hub").state == "ok"


def test_a_sink_that_cannot_be_opened_is_held(stand: Stand) -> None:
    def refuse(_piece: int | None) -> Playing:
        raise SettingsError("hub", "a token", "none")

    with stand.one() as one:
        assert one.run(refuse, by_hand=False).held


def test_a_parked_batch_stops_its_log_and_is_tried_again_ever_more_rarely(stand: Stand) -> None:
    waits = []
    for _ in range(9):
        outcome, seen = stand.attempt(Parked("status 422"))
        assert seen == stand.host.names()[:1]
        waits.append(outcome.wait_s)
        stand.clock.pass_(outcome.wait_s or 0)
    assert waits == [900 * 2**n for n in range(7)] + [86400, 86400]
    assert len(stand.signer.refusals) == 1
    assert stand.attempt(acknowledges)[0].left == 0
    assert look(str(stand.folder), "hub").parked == {}


def test_a_parked_batch_that_was_replaced_is_tried_at_once(stand: Stand) -> None:
    stand.attempt(Parked("too-large: status 413"))
    assert stand.attempt(acknowledges)[1] == []
    stand.host.write(0, 2)
    assert stand.attempt(acknowledges)[0].left == 0


def test_a_parked_batch_does_not_stop_the_others_of_a_sink_without_order(stand: Stand) -> None:
    outcome, seen = stand.attempt(Parked("too large"), acknowledges, in_order=False)
    assert seen == stand.host.names()
    assert (outcome.delivered, outcome.left) == (2, 1)
    stand.host.sign(2)
    stand.host.write(6)
    assert stand.attempt(acknowledges, in_order=False)[0].delivered == 1


def test_a_file_that_is_no_batch_is_parked(stand: Stand) -> None:
    (stand.host.outbox / stand.host.names()[0]).write_bytes(b"damage")
    outcome, _ = stand.attempt(acknowledges)
    assert outcome.left == 3
    assert "expected" in stand.signer.refusals[0][2]


def test_a_fork_is_told_to_the_signer_with_its_proof(stand: Stand) -> None:
    stand.attempt(Parked("fork", "the note that the hub has\n"))
    assert stand.signer.refusals == [("hub", stand.host.names()[0], "fork", b"the note that the hub has\n")]


def test_a_log_that_the_hub_does_not_know_lets_others_pass(stand: Stand, tmp_path: Path) -> None:
    other = host(tmp_path / "other", batches=1)
    (name,) = other.names()
    (other.outbox / name).rename(stand.host.outbox / name)

    def known(batch: Outgoing) -> Result:
        return acknowledges(batch) if batch.name == name else Unknown("not enrolled")

    outcome, seen = stand.attempt(known)
    assert name in seen
    assert (outcome.delivered, outcome.left, outcome.held) == (1, 3, True)
    assert outcome.reason == "not enrolled; there is no token"


def test_a_log_that_the_signer_cannot_write_again_holds_up_no_other_one(stand: Stand, tmp_path: Path) -> None:
    other = host(tmp_path / "other", batches=1)
    (name,) = other.names()
    (other.outbox / name).rename(stand.host.outbox / name)
    stand.signer.cannot_write = StateError("log", "leaves that give the signed root", "others")
    (stand.host.outbox / next(each for each in stand.host.names() if each != name)).unlink()  # it was delivered

    def restored(batch: Outgoing) -> Result:
        return acknowledges(batch) if batch.name == name else Behind(0)

    outcome, seen = stand.attempt(restored)
    assert name in seen
    assert (outcome.delivered, outcome.left) == (1, 2)
    assert "expected batches from entry 0 on" in stand.signer.refusals[0][2]


def stands_at(size: int, hub: list[int]) -> Callable[[Outgoing], Result]:
    """Return a hub that has so many entries and takes what goes on from there."""
    hub.append(size)

    def take(batch: Outgoing) -> Result:
        if batch.place.first > hub[-1]:
            return Behind(hub[-1])
        hub.append(max(hub[-1], batch.place.size))
        return acknowledges(batch)

    return take


def test_a_hub_that_was_restored_gets_again_what_is_still_in_the_outbox(stand: Stand) -> None:
    hub: list[int] = []
    stand.attempt(acknowledges)
    stand.host.sign(2)
    stand.host.write(6)
    outcome, seen = stand.attempt(stands_at(2, hub))
    names = stand.host.names()
    assert seen == [names[3], names[1], names[2], names[3]]
    assert (hub[-1], outcome.left, stand.signer.rewritten) == (8, 0, [])


def test_a_hub_that_was_restored_gets_from_the_log_what_the_outbox_has_let_go_of(stand: Stand) -> None:
    hub: list[int] = []
    stand.signer.removes = True
    stand.attempt(acknowledges)
    assert stand.host.names() == []
    stand.host.sign(2)
    stand.host.write(6)
    outcome, _ = stand.attempt(stands_at(1, hub))
    assert stand.signer.rewritten == [(stand.host.log_id, 1)]
    assert (hub[-1], outcome.left) == (8, 0)


def test_a_hub_that_never_gets_on_does_not_have_the_log_written_again_and_again(stand: Stand) -> None:
    stand.signer.removes = True
    stand.attempt(acknowledges)
    stand.host.sign(2)
    stand.host.write(6)
    waits = []
    for _ in range(4):
        outcome, seen = stand.attempt(Behind(1))
        assert len(stand.signer.rewritten) == 1
        assert len(seen) == 2
        waits.append(outcome.wait_s)
        stand.clock.pass_(outcome.wait_s or 0)
    assert waits == [60, 120, 240, 480]
    assert stand.attempt(stands_at(1, []))[0].left == 0


def test_a_signer_that_is_away_is_told_later(stand: Stand) -> None:
    stand.signer.away = True
    outcome, _ = stand.attempt(acknowledges)
    assert (outcome.left, outcome.wait_s) == (0, 60)
    stand.signer.away = False
    outcome, seen = stand.attempt(acknowledges)
    assert (len(stand.signer.delivered_to), seen, outcome.wait_s) == (3, [], None)


def test_an_acknowledgement_that_the_signer_does_not_believe_is_kept_aside_and_counts_for_nothing(stand: Stand) -> None:
    stand.signer.disbelieves = ReceiptError("note", "a root of ours", "another")
    outcome, seen = stand.attempt(acknowledges)
    assert (len(seen), outcome.left, outcome.held) == (1, 3, True)
    (kept,) = (stand.folder / "rejected").iterdir()
    with stand.host.opened(seen[0]) as batch:
        assert kept.read_bytes() == cosigned(batch)


def test_a_note_by_which_the_signer_learns_that_it_was_put_back_is_told_once(stand: Stand) -> None:
    stand.signer.disbelieves = RestoredError("note", "a size of ours", "a larger one")
    outcome, seen = stand.attempt(acknowledges)
    assert (len(seen), outcome.left) == (3, 0)


def test_a_batch_that_the_signer_takes_away_meanwhile_is_no_trouble(stand: Stand) -> None:
    gone = stand.host.outbox / stand.host.names()[1]

    def removes(batch: Outgoing) -> Result:
        gone.unlink(missing_ok=True)
        return acknowledges(batch)

    outcome, seen = stand.attempt(removes)
    assert (len(seen), outcome.left, outcome.reason) == (2, 0, None)


def test_only_one_attempt_is_made_at_a_time(stand: Stand) -> None:
    with stand.one(), pytest.raises(BusyError), stand.one():
        pass


def test_a_folder_that_cannot_be_written_to_stops_no_delivery(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with stand.one() as one:
        monkeypatch.setattr("agent.delivery.progress.Records.save", full)
        sink = Playing([acknowledges])
        assert one.run(lambda _piece: sink, by_hand=False).left == 0
    assert len(stand.said) == 1
    assert "no space left" in stand.said[0].lower()


def test_the_sink_is_closed_when_the_process_is_told_to_end(stand: Stand) -> None:
    def interrupted(_batch: Outgoing) -> Result:
        raise KeyboardInterrupt

    sink = Playing([interrupted])
    with stand.one() as one, pytest.raises(KeyboardInterrupt):
        one.run(lambda _piece: sink, by_hand=False)
    assert sink.closed
