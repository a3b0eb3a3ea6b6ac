"""The uploader as a process: its exit codes, the nudges it takes, and that it ends when it is told to."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.commands.ship import batches, line_of
from agent.configuration.digest import digest
from agent.configuration.loading import load
from agent.delivery.one_sink import Outcome
from agent.internal.upload import soonest
from agent.places import places
from agent.signing.door import open_door
from agent.version import VERSION
from tests.agent.command_line import Evidenced
from tests.agent.delivery.batches import HUB, HUB_NAME, Host
from tests.agent.delivery.hostile import Heard, answers, hostile, is_silent
from tests.agent.signing.running import signer
from tests.hub.running import ROOT

VKEY = HUB.key.vkey(HUB_NAME, HUB.kind)


@pytest.fixture
def sender(tmp_path: Path, evidenced: Evidenced) -> Host:
    """Return a host that has signed and not written a batch yet."""
    state = tmp_path / "state"
    assert evidenced("inventory", "--sign", "--table", "users", "--state", state).code == 0
    return Host(state, state / "outbox")


def configured(sender: Host, *sinks: str) -> Path:
    """Write a configuration, and have the signer write what these sinks lack."""
    file = sender.state.parent / "agent.toml"
    file.touch(0o600)
    file.write_text("\n".join(f"[[sinks]]\n{each}" for each in sinks))
    with open_door(places(str(sender.state)), config=str(file)) as door:
        door.batches()
    return file


def hub_at(url: str) -> str:
    return f'name = "hub"\ntype = "hub"\nurl = "{url}"\nvkey = "{VKEY}"\n'


@contextmanager
def uploading(sender: Host, config: Path, listener: socket.socket | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run the uploader; with a listener as systemd would."""
    program = [sys.executable, "-m", "agent", "_upload", "--state", str(sender.state), "--config", str(config)]
    environment = dict(os.environ)
    passed: tuple[int, ...] = ()
    if listener is not None:
        passed = (listener.fileno(),)
        hand_over = 'exec 3<&"$1"; shift; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
        program = ["bash", "-c", hand_over, "bash", str(listener.fileno()), *program]
    process = subprocess.Popen(
        program, cwd=ROOT, env=environment, pass_fds=passed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_with_no_sink_there_is_nothing_to_do(sender: Host) -> None:
    with uploading(sender, configured(sender)) as process:
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0


def test_a_sink_that_is_held_is_said_in_the_journal_and_tried_again_in_a_quarter_hour(sender: Host) -> None:
    with hostile(answers(401)) as server, uploading(sender, configured(sender, hub_at(server.url))) as process:
        out, told = process.communicate(timeout=20)
    assert process.returncode == 75
    assert 800 < int(out) <= 900
    assert re.search("evidenced-upload: hub: held: http://.*: expected the word of a hub, found status 401", told)


def test_one_sink_does_not_wait_for_the_other(sender: Host, tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    folder = f'name = "stick"\ntype = "directory"\npath = "{tmp_path / "stick"}"\n'
    with hostile(answers(401)) as server, uploading(sender, configured(sender, hub_at(server.url), folder)) as process:
        process.communicate(timeout=20)
    assert [each.name for each in (tmp_path / "stick").iterdir()] == sender.names()


def test_it_ends_within_seconds_when_it_is_told_to(sender: Host) -> None:
    with hostile(is_silent) as server, uploading(sender, configured(sender, hub_at(server.url))) as process:
        while not server.heard:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=5)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in told


def test_a_nudge_that_comes_during_an_attempt_is_followed_by_another_attempt(sender: Host, tmp_path: Path) -> None:
    path = str(tmp_path / "nudge")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        stick = tmp_path / "stick"
        folder = f'name = "stick"\ntype = "directory"\npath = "{stick}"\n'

        def nudges(connection: socket.socket, heard: Heard) -> None:
            stick.mkdir(exist_ok=True)
            with socket.socket(socket.AF_UNIX) as one:
                one.connect(path)
            answers(401)(connection, heard)

        with (
            hostile(nudges) as server,
            uploading(sender, configured(sender, folder, hub_at(server.url)), listener) as it,
        ):
            it.communicate(timeout=20)
        assert it.returncode == 75
        assert [each.name for each in stick.iterdir()] == sender.names()


def test_a_configuration_with_problems_delivers_nothing(sender: Host) -> None:
    with uploading(sender, configured(sender, 'name = "hub"\n')) as process:
        out, told = process.communicate(timeout=20)
    assert (process.returncode, out) == (2, "")
    assert "agent.toml" in told


def test_ship_without_a_sink_says_what_to_do(sender: Host, evidenced: Evidenced) -> None:
    ran = evidenced("ship", "--state", sender.state, "--config", configured(sender))
    assert ran.code == 3
    assert "evidenced enroll" in ran.err


def test_ship_goes_by_what_the_service_planned_and_says_that_an_edit_waits(
    sender: Host, tmp_path: Path, evidenced: Evidenced
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = (f'name = "{name}"\ntype = "directory"\npath = "{tmp_path / name}"\n' for name in ("one", "two"))
    file = configured(sender, one)
    with signer(sender.state, "--config", str(file)) as running:
        with open_door(running.places) as door:
            planned = {"config": digest(load(str(file)).configuration), "version": VERSION}
            door.event("agent-started", planned, {})
        configured(sender, one, two)
        ran = evidenced("ship", "--state", sender.state, "--config", file)
    assert ran.out.startswith("one: ")
    assert "two" not in ran.out
    assert "not in force yet" in ran.err
    assert list((tmp_path / "one").iterdir())


def outcome(**changes: object) -> Outcome:
    facts = {"name": "hub", "delivered": 1, "left": 0, "wait_s": None, "reason": None, "held": False}
    return Outcome(**{**facts, **changes})  # type: ignore[arg-type]


def test_the_soonest_sink_decides_when_there_is_another_attempt() -> None:
    assert soonest([outcome(), outcome(wait_s=9.0), outcome(wait_s=3.0)]) == 3.0
    assert soonest([outcome()]) is None


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({}, "hub: 1 batch delivered, nothing is left"),
        ({"left": 2, "reason": "status 503"}, "hub: 1 batch delivered, 2 batches left: status 503"),
        (
            {"delivered": 0, "left": 1, "reason": "a\x1b[31m", "held": True},
            "hub: 0 batches delivered, 1 batch left: held: a\\x1b[31m",
        ),
    ],
)
def test_what_became_of_a_sink_is_one_line(facts: dict[str, object], line: str) -> None:
    assert line_of(outcome(**facts)) == line


def test_batches_are_counted_as_people_do() -> None:
    assert [batches(count) for count in (0, 1, 1000)] == ["0 batches", "1 batch", "1,000 batches"]
