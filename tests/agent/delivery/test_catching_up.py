"""A hub that lacks closed logs, or claims to: what is asked, what is sent again, and where that ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.delivery.catching_up import MOST_ASKED
from agent.delivery.errors import AnswerError, UnreachableError
from agent.delivery.outbox import Outgoing
from agent.delivery.progress import look
from agent.delivery.results import Behind, Delivered, Result, Unknown
from agent.signing.protocol import LogSize
from evidence.errors import FormatError
from tests.agent.delivery.batches import Clock, Host, Told, host
from tests.agent.delivery.playing import Playing, Stand, acknowledges

DAY_S = 86_400.0


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    made = host(tmp_path, batches=1)
    return Stand(made, tmp_path / "upload", Told(made), Clock())


def closed(count: int, size: int = 7) -> list[LogSize]:
    """Return logs that were closed before the one of the host."""
    return [LogSize(f"{number:016x}-1", size) for number in range(1, count + 1)]


def one_more(host: Host) -> None:
    host.sign()
    host.write(host.rows)


def settled(stand: Stand) -> bool:
    return not look(str(stand.folder), "hub").compared.due


def test_every_closed_log_is_asked_for_once_and_what_lacks_is_written_again(stand: Stand) -> None:
    stand.signer.others = [*closed(3), LogSize(stand.host.log_id, 2)]
    first, second, third = (each.log for each in closed(3))
    hub = Playing([acknowledges], sizes={first: 7, second: 4})
    outcome = stand.deliver_to(hub)
    assert hub.asked == [first, second, third]
    assert stand.signer.rewritten == [(second, 4), (third, 0)]
    assert (outcome.wait_s, settled(stand)) == (None, True)
    one_more(stand.host)
    stand.deliver_to(hub)
    assert len(hub.asked) == 3


def test_without_anything_to_deliver_nothing_is_asked(stand: Stand) -> None:
    stand.deliver_to(Playing([acknowledges]))
    stand.signer.others = closed(3)
    hub = Playing([acknowledges])
    stand.deliver_to(hub)
    assert (hub.asked, hub.closed) == ([], False)


def test_a_week_later_all_is_asked_once_more(stand: Stand) -> None:
    stand.signer.others = closed(1)
    hub = Playing([acknowledges], sizes={closed(1)[0].log: 7})
    for days, times in ((0, 1), (6, 1), (1.1, 2), (0, 2)):
        stand.clock.pass_(days * DAY_S)
        stand.deliver_to(hub)
        one_more(stand.host)
        assert len(hub.asked) == times


def test_no_attempt_asks_for_more_than_its_share_and_the_next_goes_on_there(stand: Stand) -> None:
    logs = closed(2 * MOST_ASKED + 1, size=1)
    stand.signer.others = logs
    hub = Playing([acknowledges], sizes={each.log: 1 for each in logs})
    waits = []
    for _ in range(3):
        outcome = stand.deliver_to(hub)
        waits.append(outcome.wait_s)
        stand.clock.pass_(60)
    assert hub.asked == [each.log for each in logs]
    assert waits == [60, 60, None]


def test_questions_that_take_their_time_end_with_the_slice(stand: Stand) -> None:
    class Slow(Playing):
        def size_of(self, log_id: str) -> int | None:
            stand.clock.pass_(119)
            return super().size_of(log_id)

    stand.signer.others = closed(50)
    hub = Slow([acknowledges], sizes={each.log: 7 for each in closed(50)})
    stand.deliver_to(hub)
    assert len(hub.asked) == 6


@pytest.mark.parametrize("error", [UnreachableError("a", "b", "c"), AnswerError("a", "b", "c")])
def test_a_hub_that_does_not_say_what_it_has_is_delivered_to_all_the_same(stand: Stand, error: Exception) -> None:
    stand.signer.others = closed(3)
    hub = Playing([acknowledges], mute=error)
    for turn in range(1, 4):
        outcome = stand.deliver_to(hub)
        assert (outcome.delivered, outcome.left, outcome.wait_s, len(hub.asked)) == (1, 0, 900, turn)
        one_more(stand.host)
        stand.clock.pass_(900)


def test_a_hub_that_denies_every_time_what_it_took_gets_a_log_again_ever_more_rarely(stand: Stand) -> None:
    stand.signer.removes = True
    stand.deliver_to(Playing([acknowledges]))

    def denies(batch: Outgoing) -> Result:
        return Behind(0) if batch.place.first else acknowledges(batch)

    one_more(stand.host)
    for _ in range(24):  # a batch each hour for a day
        stand.deliver_to(Playing([denies]), by_hand=True)
        stand.clock.pass_(3600)
        one_more(stand.host)
    assert 5 < len(stand.signer.rewritten) < 12


def test_a_hub_that_claims_to_lack_every_log_has_none_of_them_written_twice_in_a_minute(stand: Stand) -> None:
    stand.signer.others = closed(20)
    for _ in range(10):
        stand.deliver_to(Playing([acknowledges]), by_hand=True)
        stand.clock.pass_(1)
        (stand.folder / "sinks/hub.json").write_bytes(
            (stand.folder / "sinks/hub.json").read_bytes().replace(b'"due":false', b'"due":true')
        )
    assert len(stand.signer.rewritten) == 20


def test_a_host_that_the_hub_does_not_know_has_nothing_written_again(stand: Stand) -> None:
    stand.signer.others = closed(3)
    outcome = stand.deliver_to(Playing([Unknown("not enrolled")]))
    assert stand.signer.rewritten == []
    assert (outcome.left, outcome.held, outcome.wait_s) == (1, True, 900)
    assert outcome.reason == "not enrolled; there is no token"


def test_a_file_that_the_signer_does_not_know_is_delivered_once_in_an_attempt_and_each_attempt_waits_longer(
    tmp_path: Path,
) -> None:
    made = host(tmp_path, batches=2)
    stand = Stand(made, tmp_path / "upload", Told(made), Clock())
    stand.signer.disbelieves = FormatError("stick", "the digest of the batch", "another")
    waits = []
    for _ in range(12):
        outcome, seen = stand.attempt(Delivered(), in_order=False)
        assert (seen, outcome.delivered, outcome.left) == (made.names(), 0, 2)
        waits.append(outcome.wait_s)
        stand.clock.pass_(outcome.wait_s or 0)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert "expected the file that the signer wrote" in (outcome.reason or "")
