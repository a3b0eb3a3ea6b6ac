"""`evidenced wrap`: the command is left as it is, and how it ended is signed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.places import places
from evidence.predicates import Event
from evidence.reader import StoreReader
from tests.agent.command_line import Evidenced
from tests.agent.signing.running import signer

TOP = Path(__file__).parents[2]
SH = os.path.realpath("/bin/sh")


def wrap(state: Path, *command: str, options: tuple[str, ...] = (), data: str = "") -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "agent", "wrap", "--job", "nightly", "--state", str(state), *options, "--", *command]
    return subprocess.run(line, cwd=TOP, input=data, capture_output=True, text=True, timeout=30, check=False)


def recorded(state: Path) -> dict[str, object]:
    with StoreReader(str(state)) as reader:
        log = reader.logs()[-1]
        statement = reader.entry(log.id, log.size - 1).statement
    assert isinstance(statement, Event)
    return statement.predicate.event


def test_the_command_has_our_streams_and_its_exit_code_is_ours(tmp_path: Path) -> None:
    ran = wrap(tmp_path / "state", "sh", "-c", "cat; echo err >&2; exit 7", "secret-argument", data="in")
    assert (ran.returncode, ran.stdout, ran.stderr) == (7, "in", "err\n")
    event = recorded(tmp_path / "state")
    assert (event["kind"], event["name"], event["exit"], event["signal"]) == ("job", "nightly", 7, None)
    assert event["command"] == hashlib.sha256(SH.encode()).hexdigest()
    everything = b"".join(path.read_bytes() for path in (tmp_path / "state/logs").rglob("*") if path.is_file())
    assert b"secret-argument" not in everything
    assert "secret-argument" not in json.dumps(event)


def test_a_command_that_a_signal_ends_is_told_as_a_shell_tells_it(tmp_path: Path) -> None:
    assert wrap(tmp_path / "state", "sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL
    event = recorded(tmp_path / "state")
    assert (event["exit"], event["signal"]) == (None, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT])
def test_signals_reach_the_command_and_what_it_makes_of_them_is_recorded(tmp_path: Path, number: int) -> None:
    script = f"trap 'echo got; exit 9' {number}; echo ready; while :; do sleep 0.05; done"
    line = [sys.executable, "-m", "agent", "wrap", "--job", "x", "--state", str(tmp_path / "state"), "--"]
    with subprocess.Popen([*line, "sh", "-c", script], cwd=TOP, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == "got\n"
        assert process.wait(20) == 9
    assert recorded(tmp_path / "state")["exit"] == 9


def test_a_command_that_is_not_there_is_127_and_recorded(tmp_path: Path) -> None:
    ran = wrap(tmp_path / "state", "/nosuch/command")
    assert ran.returncode == 127
    assert "expected a program, found none" in ran.stderr
    assert recorded(tmp_path / "state")["exit"] == 127


def test_a_command_that_cannot_be_run_is_126(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    ran = wrap(tmp_path / "state", str(program))
    assert ran.returncode == 126
    assert recorded(tmp_path / "state")["exit"] == 126


def test_what_cannot_be_recorded_is_said_and_the_exit_code_stands_unless_it_is_required(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    state.chmod(0o755)
    ran = wrap(state, "sh", "-c", "exit 4")
    assert ran.returncode == 4
    assert ran.stderr.startswith("evidenced wrap: not recorded: ")
    assert wrap(state, "true", options=("--require-record",)).returncode == 3


def test_a_job_is_recorded_through_the_signer(tmp_path: Path) -> None:
    with signer(tmp_path / "state"):
        assert wrap(tmp_path / "state", "true", options=("--require-record",)).returncode == 0
    assert recorded(tmp_path / "state")["exit"] == 0


@pytest.mark.parametrize(
    "command", [("--job", "a b", "--", "true"), ("--job", "a"), ("--job", "a", "--"), ("--", "true")]
)
def test_wrong_use_runs_nothing(command: tuple[str, ...]) -> None:
    line = [sys.executable, "-m", "agent", "wrap", *command]
    ran = subprocess.run(line, cwd=TOP, capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")


@pytest.mark.parametrize(("options", "code"), [((), 5), (("--require-record",), 3)])
def test_a_record_in_ones_own_log_is_not_the_one_that_is_required(
    evidenced: Evidenced, state: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], code: int
) -> None:
    """As of a user who may not speak to the signer: what is looked for in the host's log would not be there."""
    monkeypatch.setattr("agent.commands.wrap.recording_places", lambda _given: places(str(state)))
    ran = evidenced("wrap", "--job", "nightly", *options, "--", "sh", "-c", "exit 5")
    assert ran.code == code
    assert ran.err.startswith(f"evidenced wrap: signed into your own log in {state}, not into the host's; ")
    assert recorded(state)["exit"] == 5


def test_who_may_not_record_for_the_host_is_told_where_it_went(
    evidenced: Evidenced, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.commands.record.recording_places", lambda _given: places(str(state)))
    ran = evidenced("record", "restore-test", "--field", "job=db", "--field", "result=ok")
    assert ran.code == 0
    assert ran.out.endswith(", in your own log\n")
    assert ran.err.startswith(f"evidenced record: signed into your own log in {state}, not into the host's; ")
