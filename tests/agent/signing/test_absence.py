"""Since when there was no agent: derived from the log, believed of nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.signing import clerk as clerks
from agent.signing.absence import gone_since
from agent.signing.clerk import Clerk
from agent.signing.protocol import Absence
from evidence.errors import FormatError
from evidence.log import EvidenceStore
from evidence.predicates import Clock, Event
from evidence.reader import StoreReader
from evidence.statement import Observation
from tests.agent.signing.running import LIVE
from tests.evidence.store_parts import table

BY_HAND = msgspec.structs.replace(LIVE, reason="by-hand")
NOW = "2026-03-01T12:00:00.500Z"


class Told:
    """A log whose entries tell the times that a test gives them."""

    def __init__(self, state: Path) -> None:
        self.state = str(state)
        self.wall, self.boot = "2026-01-01T00:00:00.000Z", "a"

    def clock(self) -> Clock:
        return Clock(wall=self.wall, boottime_ms=1, boot_id=self.boot, synchronised=True)

    def event(self, kind: str, wall: str, seen: Observation = LIVE) -> None:
        self.wall = f"2026-02-{wall}.000Z"
        with EvidenceStore.open(self.state, machine=None, clock=self.clock) as store:
            store.append_event(kind, {}, {}, seen)

    def snapshot(self, wall: str, seen: Observation = LIVE) -> None:
        self.wall = f"2026-02-{wall}.000Z"
        with EvidenceStore.open(self.state, machine=None, clock=self.clock) as store:
            store.append_snapshot([table()], seen)

    def gone(self, wall: str = NOW, boot: str | None = "a") -> tuple[str, str, str] | None:
        with StoreReader(self.state) as reader:
            found = gone_since(reader, Clock(wall=wall, boottime_ms=1, boot_id=boot, synchronised=True))
        return None if found is None else (found["from"], found["until"], found["reason"])


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path / "state")


def test_a_first_start_explains_nothing(told: Told) -> None:
    told.snapshot("01T10:00:00", BY_HAND)
    assert told.gone() is None


def test_an_agent_that_was_killed_is_gone_since_its_last_entry(told: Told) -> None:
    told.event("heartbeat", "01T10:00:00")
    told.snapshot("01T10:15:00")
    assert told.gone() == ("2026-02-01T10:15:00Z", "2026-03-01T12:00:00Z", "agent-off")


def test_another_boot_means_that_the_host_was_off_and_an_unknown_one_does_not(told: Told) -> None:
    told.snapshot("01T10:15:00")
    gone = told.gone(boot="b")
    assert gone is not None
    assert gone[2] == "host-off"
    gone = told.gone(boot=None)
    assert gone is not None
    assert gone[2] == "agent-off"


def test_a_clean_stop_is_where_it_begins_whatever_was_done_by_hand_since(told: Told) -> None:
    told.snapshot("01T10:00:00")
    told.event("agent-stopped", "01T11:00:00")
    told.snapshot("02T10:00:00", BY_HAND)
    told.event("backup-run", "03T10:00:00")
    gone = told.gone()
    assert gone is not None
    assert gone[0] == "2026-02-01T11:00:00Z"


def test_it_is_found_before_a_rotation(told: Told) -> None:
    told.event("heartbeat", "01T10:00:00")
    with EvidenceStore.open(told.state, machine=None, clock=told.clock) as store:
        store.rotate(LIVE)
    gone = told.gone()
    assert gone is not None
    assert gone[0] == "2026-02-01T10:00:00Z"


def test_a_clock_that_was_set_back_leaves_no_absence_rather_than_one_that_ends_before_it_begins(told: Told) -> None:
    told.event("heartbeat", "01T10:00:00")
    assert told.gone(wall="2025-01-01T00:00:00.000Z") is None


@pytest.fixture
def clerk(told: Told, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clerk]:
    told.event("heartbeat", "01T10:00:00")
    told.wall = NOW
    monkeypatch.setattr(clerks, "now", told.clock)
    clerk = Clerk(told.state, 1)
    yield clerk
    clerk.close()


def absence_of(clerk: Clerk, sequence: int) -> object:
    with StoreReader(clerk.state) as reader:
        statement = reader.entry(reader.logs()[-1].id, sequence).statement
    assert isinstance(statement, Event)
    return statement.predicate.event["absence"]


def test_the_signer_says_at_a_start_since_when_there_was_no_agent(clerk: Clerk) -> None:
    entry = clerk.event("agent-started", {"version": "1.0", "config": None}, {}, {})
    expected = {"from": "2026-02-01T10:00:00Z", "reason": "agent-off", "until": "2026-03-01T12:00:00Z"}
    assert absence_of(clerk, entry.sequence) == expected
    clerk.close()


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("2026-02-01T11:00:00Z", "2026-02-01T12:00:00Z", ("2026-02-01T11:00:00Z", "2026-02-01T12:00:00Z")),
        ("2026-01-01T00:00:00Z", "2026-02-01T12:00:00Z", ("2026-02-01T10:00:00Z", "2026-02-01T12:00:00Z")),
        ("2026-02-01T11:00:00Z", "2036-02-01T12:00:00Z", ("2026-02-01T11:00:00Z", "2026-03-01T12:00:00Z")),
        ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", None),
        ("2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z", None),
    ],
)
def test_an_absence_reaches_neither_before_what_was_signed_nor_into_what_is_to_come(
    clerk: Clerk, since: str, until: str, expected: tuple[str, str] | None
) -> None:
    entry = clerk.event("suspended", {}, {}, {}, Absence(since=since, until=until, reason="suspended"))
    found = None if expected is None else {"from": expected[0], "reason": "suspended", "until": expected[1]}
    assert absence_of(clerk, entry.sequence) == found
    clerk.close()


@pytest.mark.parametrize(
    ("kind", "absence"),
    [
        ("heartbeat", ("2026-02-01T11:00:00Z", "2026-02-01T12:00:00Z", "host-off")),
        ("suspended", ("2026-02-01T11:00:00Z", "2026-02-01T12:00:00Z", "host-off")),
        ("suspended", ("2026-02-01T12:00:00Z", "2026-02-01T11:00:00Z", "suspended")),
        ("agent-started", ("2026-02-01T11:00:00Z", "2026-02-01T12:00:00Z", "agent-off")),
        ("suspended", None),
    ],
)
def test_an_absence_comes_with_its_own_kind_only(clerk: Clerk, kind: str, absence: tuple[str, str, str] | None) -> None:
    fields = {"version": "1", "config": None} if kind == "agent-started" else {}
    claimed = None if absence is None else Absence(since=absence[0], until=absence[1], reason=absence[2])
    with pytest.raises(FormatError):
        clerk.event(kind, fields, {}, {}, claimed)
    clerk.close()
