"""What `evidenced status` shows of a service that runs, of one that does not, and of one that lies."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.delivery.progress import Parked, Progress, records
from agent.places import places
from agent.supervision import is_running, parse
from collectors.catalogue import all_tables
from tests.agent.command_line import Evidenced

SAID = """\
evidenced-status 1
process\t4711\t100.0
now\t150.0\t1795302758
parts\town\tone-user
plan\t0a0a\t{plan}
signed\t7 evidenced/0a/1\t140.0
held\t{held}
paused\t-
deliver\t-
watches\t1\t15\t0\t{watches}
table\tusers\t{interval}\t120.0\t3720.0\t0\t{coverage}\t26\t0\t3\t1\t23564
child\tsweep\t4712\t149.0\tsweeps
part\tsign\t4713\t{failures}\t110.0
"""
AT = "2026-11-22T00:12:10.771Z"
WELL = {"plan": "-", "held": "-", "watches": "-", "coverage": "complete", "failures": "0", "interval": "999999999"}


@pytest.fixture
def running(state: Path) -> Iterator[Path]:
    """Hold the lock of a supervisor, and return the place of its status."""
    (state / "run").mkdir(parents=True, mode=0o700)
    state.chmod(0o700)
    fd = os.open(state / "run/lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    yield state / "run/status"
    os.close(fd)


def test_a_service_that_does_not_run_is_amiss_and_the_log_tells_the_rest(evidenced: Evidenced, state: Path) -> None:
    told = evidenced("status", "--state", state)
    assert told.code == 3
    assert told.lines[0].startswith("! the service does not run; start it with")
    assert evidenced("inventory", "--sign", "--table", "users", "--state", state).code == 0
    told = evidenced("status", "--state", state)
    assert told.code == 3
    assert [line.split()[0] for line in told.lines[-2:]] == ["table", "users"]
    assert "complete" in told.lines[-1]


def test_a_table_that_is_switched_off_is_said_to_be_so_whether_the_service_runs_or_not(
    evidenced: Evidenced, state: Path, running: Path, tmp_path: Path
) -> None:
    off = "".join(f"[tables.{each.name}]\nenabled = false\n" for each in all_tables() if each.name != "users")
    (tmp_path / "agent.toml").write_text(off)
    inventory = evidenced("inventory", "--config", tmp_path / "agent.toml", "--sign", "--state", state)
    assert inventory.code == 0, inventory.err
    stopped = evidenced("status", "--state", state)
    running.write_text(SAID.format(**WELL))
    running_now = evidenced("status", "--state", state)
    for told in (stopped, running_now):
        rows = [line.split() for line in told.lines]
        assert ["groups", "-", "-", "disabled", "-", "-", "-"] in rows
        assert [row[3] != "disabled" for row in rows if row[:1] == ["users"]] == [True]


def test_one_that_runs_well_is_shown_with_every_table(evidenced: Evidenced, state: Path, running: Path) -> None:
    running.write_text(SAID.format(**WELL))
    told = evidenced("status", "--state", state)
    assert told.code == 0
    assert told.lines[0].startswith("running   process 4711 for")
    assert "watches   15 folders" in told.out
    assert told.lines[-1].split()[0] == "users"
    facts = json.loads(evidenced("status", "--json", "--state", state).out)
    assert (facts["running"], facts["problems"]) == (True, [])
    assert facts["supervisor"]["tables"][0]["rows"] == 26


def test_whoever_asks_is_shown_the_service_that_runs(
    evidenced: Evidenced, state: Path, running: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.write_text(SAID.format(**WELL))
    service = places(str(state))
    monkeypatch.setattr("agent.commands.status.SYSTEM", service)
    # a service that runs on this machine is kept away
    monkeypatch.setattr("agent.commands.status.recording_places", lambda given: places(given or str(state / "own")))
    assert evidenced("status").lines[0].startswith("running   process 4711")
    other = evidenced("status", "--state", state / "other")
    assert other.lines[0].startswith("! the service does not run")


@pytest.mark.parametrize(("pid", "runs"), [(1, True), (2**22 + 1, False), (0, False), (2**70, False)])
def test_whoever_may_not_open_the_lock_is_told_by_the_supervisors_own_word(
    state: Path, running: Path, monkeypatch: pytest.MonkeyPatch, pid: int, runs: bool
) -> None:
    running.write_text(SAID.format(**WELL).replace("4711", str(pid)))
    opened = os.open

    def closed(path: str, *rest: int) -> int:
        if path.endswith("/lock"):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *rest)

    monkeypatch.setattr("agent.supervision.os.open", closed)
    assert is_running(places(str(state))) is runs


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"held": "999999999.0"}, "nothing can be signed"),
        ({"plan": "plan: line 1: x"}, "the configuration is not in force: plan: line 1: x"),
        ({"watches": "too many watches"}, "changes are seen by the schedule only: too many watches"),
        ({"coverage": "failed"}, "table users failed"),
        ({"interval": "1"}, "table users is late: read"),
        ({"failures": "3"}, "sign breaks off when it is started, last "),
    ],
)
def test_what_is_amiss_comes_first(
    evidenced: Evidenced, state: Path, running: Path, other: dict[str, str], expected: str
) -> None:
    running.write_text(SAID.format(**{**WELL, **other}))
    told = evidenced("status", "--state", state)
    assert told.code == 3
    assert told.lines[0].startswith(f"! {expected}")


def test_a_part_that_broke_off_once_is_not_said_to_do_so_each_time(
    evidenced: Evidenced, state: Path, running: Path
) -> None:
    running.write_text(SAID.format(**{**WELL, "failures": "1"}))
    assert evidenced("status", "--state", state).code == 0


def test_a_child_that_hangs_is_named(evidenced: Evidenced, state: Path, running: Path) -> None:
    running.write_text(SAID.format(**WELL) + "stuck\tsweeps\t4714\t120.0\n")
    told = evidenced("status", "--state", state)
    assert (told.code, "process 4714 hangs in the kernel, with table sweeps" in told.lines[0]) == (3, True)


@pytest.mark.parametrize(
    ("progress", "code", "shown"),
    [
        (Progress(), 0, "sink      hub: nothing was delivered yet"),
        (Progress(last_success=AT), 0, f"sink      hub: last delivery {AT}"),
        (
            Progress(state="retry", reason="connection refused", since=AT, last_success=AT),
            0,
            f"sink      hub: tried again since {AT}: connection refused; last delivery {AT}",
        ),
        (
            Progress(state="held", reason="\x1b[2Jstatus 401", since=AT),
            3,
            f"sink      hub: held since {AT}: \\x1b[2Jstatus 401; nothing was delivered yet",
        ),
        (
            Progress(parked={"batch": Parked(stamp="", reason="status 422", since=AT)}),
            3,
            f"sink      hub: 1 refusal since {AT}: status 422; nothing was delivered yet",
        ),
    ],
)
def test_how_a_sink_fares_is_shown_and_amiss_if_a_person_has_to_see_to_it(
    evidenced: Evidenced, state: Path, running: Path, progress: Progress, code: int, shown: str
) -> None:
    running.write_text(SAID.format(**WELL))
    with records(str(state / "upload"), 0) as kept:
        kept.save("hub", progress)
    told = evidenced("status", "--state", state)
    assert (told.code, shown in told.lines) == (code, True), told.out
    assert told.lines[0].startswith("! sink hub does not take what it is sent") == (code == 3)
    facts = json.loads(evidenced("status", "--json", "--state", state).out)
    assert [(each["name"], each["state"]) for each in facts["sinks"]] == [("hub", progress.state)]


@pytest.mark.parametrize("text", ["", "nonsense", "\x1b[2J"])
def test_a_service_that_does_not_say_how_it_is_is_amiss(
    evidenced: Evidenced, state: Path, running: Path, text: str
) -> None:
    running.write_text(text)
    told = evidenced("status", "--state", state)
    assert told.code == 3
    assert "does not say how it is" in told.lines[0]


def test_what_a_forged_file_says_cannot_move_the_cursor(evidenced: Evidenced, state: Path, running: Path) -> None:
    running.write_text(SAID.format(**{**WELL, "plan": "\x1b[2J\u202e", "watches": "\x9b2J"}))
    told = evidenced("status", "--state", state)
    assert told.code == 3
    assert not {"\x1b", "\x9b", "\u202e"} & set(told.out)


def test_a_link_or_a_pipe_in_place_of_the_file_is_not_followed(
    evidenced: Evidenced, state: Path, running: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").write_text(SAID.format(**WELL))
    running.symlink_to(tmp_path / "other")
    assert evidenced("status", "--state", state).code == 3
    running.unlink()
    os.mkfifo(running)
    assert evidenced("status", "--state", state).code == 3


@given(st.text(max_size=200))
@settings(max_examples=100)
def test_any_text_is_taken_or_none(text: str) -> None:
    assert parse(text, 200.0) is None or text.startswith("evidenced-status 1")
    for word in ("table", "stuck", "child", "part", "watches", "held", "closed", "process"):
        assert parse(f"evidenced-status 1\n{word}\t{text}", 200.0) is not None
