"""The hub's program among signals: each command ends with one line and leaves nothing half done behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hub import presence
from hub.folder import serving
from tests.hub.agents import Agent
from tests.hub.running import ROOT, RunningHub

SLOW = """
import sys, time
from evidence import pack_target
from hub import fleet, process

def slow(*_):
    print("begun", flush=True)
    time.sleep(60)

fleet._packs = slow
if "named" in sys.argv:
    sys.argv.remove("named")
    pack_target._DESCRIPTORS = "/none"  # as on FAT, where no file is without a name
sys.exit(process.start())
"""
LOADED = """
import runpy, sys
sys.path[:0] = sys.argv.pop(), sys.argv.pop()
runpy.run_module("hub", run_name="__main__")
"""
"""Runs the hub as `python -m` does, with a module that takes a minute to load."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("kind", ["unnamed", "named"])
def test_a_signal_ends_a_pack_with_a_line_and_takes_what_was_begun_away(
    own_hub: RunningHub, tmp_path: Path, number: signal.Signals, kind: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    options = ["--data", str(own_hub.data), "--since", "2026-01-01", "--until", "2026-01-02", "-o", f"{out}/fleet.tar"]
    program = subprocess.Popen(
        [sys.executable, "-c", SLOW, "pack", *options, *(["named"] if kind == "named" else [])],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "begun\n"
    assert [each[-5:] for each in os.listdir(out)] == ([".part"] if kind == "named" else [])
    program.send_signal(number)
    _, err = program.communicate(timeout=20)
    assert (program.returncode, err) == (128 + number, f"evidenced-hub: stopped by {number.name}\n")
    assert os.listdir(out) == []


def test_ctrl_c_while_the_hub_is_loaded_ends_it_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "argparse.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    program = subprocess.Popen(
        [sys.executable, "-c", LOADED, "hosts", ROOT, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "loading\n"
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=20)
    assert (program.returncode, err) == (-signal.SIGINT, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_hub_that_serves_ends_in_peace(own_hub: RunningHub, number: signal.Signals) -> None:
    os.kill(own_hub.pid, number)
    assert own_hub.ended() == 0
    assert "stopped by" not in own_hub.log_text()


BUSY = """
import signal, sys
from hub import process
from hub.web import app

routed = app._Routes.__call__

async def hung_up(self, *rest):
    signal.raise_signal(signal.SIGHUP)
    await routed(self, *rest)

app._Routes.__call__ = hung_up
sys.exit(process.start())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_within_a_request_ends_the_hub_when_the_answer_is_out(tmp_path: Path, number: signal.Signals) -> None:
    hub = RunningHub(tmp_path / "data", program=["-c", BUSY.replace("SIGHUP", number.name)]).start()
    try:
        assert hub.ask("GET", "/v1/hub").status == 200
        assert hub.ended() == 0
        assert "Traceback" not in hub.log_text()
    finally:
        hub.kill()


def shell(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = script.replace("HUB", f"{sys.executable} -m hub")
    return subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=os.environ | environment,
        timeout=60,
    )


STREAMS = pytest.mark.parametrize("streams", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a hub's folder with one host on its list, which never came: `hosts` ends with 3, `expect` with 0."""
    folder = tmp_path_factory.mktemp("data")
    with serving(str(folder / "data")) as state:
        presence.expect(state.database, ["jörg.example"])
    return folder / "data"


@STREAMS
@pytest.mark.parametrize("command", ["hosts", "hosts --json", "expect"])
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_output_that_cannot_be_written_is_one_line_and_exit_3(
    data: Path, command: str, redirection: str, streams: dict[str, str]
) -> None:
    ran = shell(f"HUB {command} --data {data} {redirection}", **streams)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (3, 1), ran.stderr


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_help_that_cannot_be_written_is_one_line_and_exit_3(redirection: str) -> None:
    ran = shell(f"HUB hosts --help {redirection}")
    assert (ran.returncode, len(ran.stderr.splitlines())) == (3, 1), ran.stderr


@STREAMS
@pytest.mark.parametrize("command", ["hosts", "expect"])
def test_a_reader_that_goes_away_is_no_fine_end(data: Path, command: str, streams: dict[str, str]) -> None:
    script = f"exec 3> >(exec true); wait $!; HUB {command} --data {data} >&3"
    ran = shell(script, **streams)
    assert (ran.returncode, ran.stdout, ran.stderr) == (3, "", "")


def test_closed_streams_do_not_become_files_that_are_written_to(data: Path) -> None:
    ran = shell(f"HUB expect --data {data} <&- 2>&-")
    assert (ran.returncode, ran.stdout) == (0, "jörg.example\n")
    ran = shell(f"HUB expect - --data {data} <&-")
    assert (ran.returncode, len(ran.stderr.splitlines())) == (3, 1), ran.stderr


def test_output_in_ascii_escapes_what_it_has_no_place_for(data: Path) -> None:
    ran = shell(f"HUB hosts --data {data}", PYTHONIOENCODING="ascii")
    assert (ran.returncode, ran.stdout.split()[10:12]) == (3, ["j\\xf6rg.example", "never"])
    assert shell("HUB --help", PYTHONIOENCODING="ascii").returncode == 0
    found = json.loads(shell(f"HUB hosts --json --data {data}", PYTHONIOENCODING="ascii").stdout)
    assert found["name"] == "jörg.example"


def test_what_cannot_be_told_on_stderr_leaves_the_exit_code_as_it_is(data: Path, tmp_path: Path) -> None:
    assert shell(f"HUB hosts --data {tmp_path}/none 2>/dev/full").returncode == 3
    assert shell(f"echo jörg.example | HUB expect - --data {data} 2>/dev/full").returncode == 0


DEAF = """
import os, sys
from hub import process
from hub.web import server

class Deaf(server._Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        os.dup2(os.open("/dev/full", os.O_WRONLY), 2)

server._Server = Deaf
sys.exit(process.start())
"""


def test_a_hub_takes_batches_although_its_access_log_cannot_be_written(tmp_path: Path) -> None:
    hub, agent = RunningHub(tmp_path / "data", program=["-c", DEAF]).start(), Agent(1)
    try:
        assert hub.enrol(agent).status == 201
        agent.append(2)
        assert hub.send(agent.batch(tmp_path)).status == 200
        assert hub.stop() == 0
    finally:
        hub.kill()
