"""Entries that a later log names and that never came: a pack says which, if they may be of its period."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import pytest

from evidence.keys import PrivateKey
from hub.blob_files import BlobFiles
from hub.fleet import FleetSummary, Period, write
from hub.folder import visiting
from hub.main import main
from program.errors import COULD_NOT_RUN
from tests.evidence.memory_store import Log
from tests.hub.agents import Agent
from tests.hub.running import RunningHub

DAY = 24 * 60


@pytest.fixture
def agent(own_hub: RunningHub) -> Agent:
    """Return an enrolled host with three logs: entries of January 2 to 4, 5 to 9 and 10 to 12; none was sent yet."""
    made = Agent(1, "web-1.example")
    assert own_hub.enrol(made).status == 201
    made.append(3, every=DAY)
    made.new_epoch()
    made.append(5, every=DAY)
    made.new_epoch()
    made.append(3, every=DAY)
    return made


def sent(hub: RunningHub, agent: Agent, folder: Path, log: Log, size: int | None = None) -> None:
    assert hub.send(agent.batch(folder, log=log, size=size)).status == 200


def packed(hub: RunningHub, folder: Path, first: int, last: int) -> FleetSummary:
    """Write a pack of days of January."""
    since, until = (datetime(2026, 1, day, tzinfo=timezone.utc) for day in (first, last + 1))
    period = Period(since, until)
    with visiting(str(hub.data)) as state, closing(BlobFiles(state.blobs)) as blobs:
        path, now = f"{folder}/fleet.tar", datetime(2026, 1, 31, tzinfo=timezone.utc)
        return write(state.database, blobs, path, period, now, overwrite=True)


def told(summary: FleetSummary) -> list[tuple[str, str, int, int, str]]:
    return [(name, hole.log, hole.first, hole.size, hole.following) for name, hole in summary.holes]


def test_a_log_that_was_held_back_is_named_where_its_entries_may_be_of_the_period(
    own_hub: RunningHub, agent: Agent, tmp_path: Path
) -> None:
    one, two, three = agent.store.logs()
    sent(own_hub, agent, tmp_path, one)
    sent(own_hub, agent, tmp_path, three)
    hole = ("web-1.example", two.id, 0, 6, three.id)
    for first, last in ((1, 30), (6, 8), (3, 5), (9, 11), (4, 4)):
        assert told(packed(own_hub, tmp_path, first, last)) == [hole], (first, last)
    assert told(packed(own_hub, tmp_path, 1, 3)) == []
    assert told(packed(own_hub, tmp_path, 20, 30)) == []
    sent(own_hub, agent, tmp_path, two)
    assert told(packed(own_hub, tmp_path, 1, 30)) == []


def test_the_end_of_a_log_that_has_not_come_is_named(own_hub: RunningHub, agent: Agent, tmp_path: Path) -> None:
    one, two, three = agent.store.logs()
    sent(own_hub, agent, tmp_path, one)
    sent(own_hub, agent, tmp_path, two, size=4)
    sent(own_hub, agent, tmp_path, three)
    assert told(packed(own_hub, tmp_path, 1, 30)) == [("web-1.example", two.id, 4, 6, three.id)]
    assert told(packed(own_hub, tmp_path, 1, 6)) == []


def test_a_clock_that_ran_backwards_hides_no_hole(own_hub: RunningHub, agent: Agent, tmp_path: Path) -> None:
    agent._minute = 0
    agent.new_epoch()
    agent.append(2, every=14 * DAY)
    one, _, _, four = agent.store.logs()
    sent(own_hub, agent, tmp_path, one)
    sent(own_hub, agent, tmp_path, four)
    assert [hole.log for _, hole in packed(own_hub, tmp_path, 2, 3).holes] == [agent.store.logs()[2].id]
    assert [hole.log for _, hole in packed(own_hub, tmp_path, 14, 16).holes] == [agent.store.logs()[2].id]


def test_a_clone_does_not_lack_what_the_other_machine_signed(own_hub: RunningHub, tmp_path: Path) -> None:
    clone = Agent(2, "clone.example")
    clone.append(3, every=DAY)
    clone.store._logs.append(Log(PrivateKey(bytes([7] * 32)), 1))
    first = clone.store.logs()[0]
    previous = {"origin": first.origin, "root": "A" * 43 + "=", "size": len(first.leaves)}
    clone.store.event("log-opened", {"previous": previous, "why": "cloned"}, {}, clone.wall())
    clone.append(3, every=DAY)
    assert own_hub.enrol(clone).status == 201
    sent(own_hub, clone, tmp_path, clone.log)
    assert told(packed(own_hub, tmp_path, 1, 30)) == []


def test_the_command_names_host_log_and_entries_and_ends_with_3(
    own_hub: RunningHub, agent: Agent, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, three = agent.store.logs()
    sent(own_hub, agent, tmp_path, one)
    sent(own_hub, agent, tmp_path, three)
    options = ("--data", str(own_hub.data), "--since", "2026-01-02", "--until", "2026-01-12")
    assert main(["pack", *options, "--output", f"{tmp_path}/fleet.tar"]) == COULD_NOT_RUN
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"evidenced-hub pack: web-1.example: entries 0 to 5 of log {two.id} have not come; log {three.id} follows"
    ]
