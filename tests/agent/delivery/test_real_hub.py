"""The program against the real hub: both are killed, answers are lost, the hub is put back. Loss: none (O1 to O3)."""

from __future__ import annotations

import http.client
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.command_line import Evidenced
from tests.agent.delivery.hostile import Heard, answers, hostile
from tests.agent.delivery.typed import DICE, Agent, assert_nothing_lost, has, leaves_at, url_of, with_batches
from tests.hub.running import RunningHub


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """Return a hub for tests that leave it as it is; each has a host of its own."""
    running = RunningHub(tmp_path_factory.mktemp("shared") / "hub").start()
    yield running
    running.kill()


@pytest.fixture
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningHub]:
    """Return the shared hub, or one for this test alone if it asks for `own` too."""
    if "own" not in request.fixturenames:
        yield request.getfixturevalue("shared")
        return
    running = RunningHub(tmp_path / "hub").start()
    yield running
    running.kill()


@pytest.fixture
def own() -> None:
    """Ask for a hub that may be killed, replaced, or looked at as a whole."""


@pytest.fixture
def agent(tmp_path: Path, evidenced: Evidenced) -> Agent:
    return Agent(tmp_path / "agent", evidenced)


@pytest.fixture
def enrolled(agent: Agent, hub: RunningHub) -> Agent:
    assert agent.enroll(url_of(hub)).code == 0
    return agent


def test_enrolled_and_shipped_the_hub_has_every_leaf_and_the_host_a_receipt(enrolled: Agent, hub: RunningHub) -> None:
    enrolled.sign(3)
    ran = enrolled.run("ship", "--once")
    assert (ran.code, ran.lines) == (0, ["hub: 1 batch delivered, nothing is left"])
    assert_nothing_lost(enrolled, hub)
    (log_id,) = enrolled.leaves()
    note = hub.ask("GET", f"/v1/logs/{log_id}/checkpoint").body
    (kept,) = (enrolled.state / "upload/receipts" / log_id).iterdir()
    assert kept.read_bytes() == note
    assert enrolled.run("ship").lines == ["hub: 0 batches delivered, nothing is left"]


@pytest.mark.usefixtures("own")
def test_the_uploader_says_when_to_try_again(enrolled: Agent, hub: RunningHub) -> None:
    enrolled.sign()
    hub.kill()
    assert enrolled.run("ship").code == 3
    for _ in range(8):
        assert enrolled.run("ship").code == 3  # so often that the next wait is longer than a process lives for it
    process = enrolled.upload()
    out, told = process.communicate(timeout=60)
    if process.returncode == 75:
        assert int(out) > 0
    assert b"Traceback" not in told
    hub.start()
    assert enrolled.run("ship").code == 0
    assert_nothing_lost(enrolled, hub)


@pytest.mark.slow
@pytest.mark.usefixtures("own")
def test_hub_and_uploader_are_killed_at_any_moment_and_nothing_is_lost(enrolled: Agent, hub: RunningHub) -> None:
    for turn in range(6):
        enrolled.sign(2, rows=50)
        assert enrolled.run("ship").code in {0, 3} if turn == 0 else True
        with_batches(enrolled)
        process = enrolled.upload()
        time.sleep(DICE.uniform(0.1, 0.7))
        if turn % 2:
            hub.kill()
        process.kill()
        process.communicate()
        if turn % 2:
            hub.start()
    assert enrolled.run("ship").code == 0
    assert_nothing_lost(enrolled, hub)


class Relay:
    """Passes requests on to the hub, and loses the answers to the first few."""

    def __init__(self, port: int, lose: int) -> None:
        self._port = port
        self._lose = lose

    def __call__(self, connection: socket.socket, heard: Heard) -> None:
        method, path, _ = heard.line.split()
        headers = {
            name: value
            for name, _, value in (line.decode().partition(": ") for line in heard.head.split(b"\r\n")[1:])
            if name.lower() != "host"
        }
        onward = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        onward.request(method, path, heard.body or None, headers)
        found = onward.getresponse()
        body = found.read()
        onward.close()
        if self._lose:
            self._lose -= 1
            raise ConnectionError
        kept = [
            f"{name}: {value}" for name, value in found.getheaders() if name.lower() not in {"content-length", "date"}
        ]
        answers(found.status, body, *kept)(connection, heard)


def test_lost_answers_cost_a_repetition_and_nothing_else(enrolled: Agent, hub: RunningHub) -> None:
    enrolled.sign(3)
    vkey = hub.describe()["vkey"]
    shutil.rmtree(enrolled.folder / "conf.d")
    with hostile(Relay(hub.port, lose=2)) as relay:
        enrolled.sink(relay.url, vkey)
        assert enrolled.run("ship").code == 3
        assert has(hub, enrolled)  # the hub has it, and we do not know
        assert enrolled.run("ship").code == 3
        assert enrolled.run("ship").code == 0
    assert_nothing_lost(enrolled, hub)


@pytest.mark.usefixtures("own")
def test_a_hub_that_was_restored_from_a_backup_is_brought_up_to_date(
    enrolled: Agent, hub: RunningHub, tmp_path: Path
) -> None:
    enrolled.sign(2)
    assert enrolled.run("ship").code == 0
    assert hub.stop() == 0
    shutil.copytree(hub.data, tmp_path / "backup")
    hub.start()
    for _ in range(3):
        enrolled.sign(2)
        assert enrolled.run("ship").code == 0
    assert hub.stop() == 0
    shutil.rmtree(hub.data)
    shutil.move(tmp_path / "backup", hub.data)
    hub.start()
    assert not has(hub, enrolled)
    enrolled.sign()
    ran = enrolled.run("ship")
    assert (ran.code, enrolled.run("ship").code) in {(0, 0), (3, 0)}
    assert_nothing_lost(enrolled, hub)


def test_a_host_that_was_put_back_to_a_copy_enrols_its_new_key_and_delivers_its_new_log(
    enrolled: Agent, hub: RunningHub, tmp_path: Path
) -> None:
    enrolled.sign(2)
    assert enrolled.run("ship").code == 0
    shutil.copytree(enrolled.state, tmp_path / "image", symlinks=True)
    (old,) = enrolled.leaves()
    enrolled.sign(2)
    assert enrolled.run("ship").code == 0
    shutil.rmtree(enrolled.state)
    shutil.copytree(tmp_path / "image", enrolled.state, symlinks=True)
    enrolled.sign(2)  # a copy cannot know what the original went on to sign: a new key, a new log
    held = enrolled.run("ship")
    assert (held.code, "not-enrolled" in held.out) == (3, True)
    assert enrolled.enroll(url_of(hub)).code == 0
    assert enrolled.run("ship").code == 0
    there, here = leaves_at(hub), enrolled.leaves()
    (new,) = set(here) - {old}
    assert there[new] == here[new]
    assert there[old].startswith(here[old])
    assert len(there[old]) > len(here[old])


@pytest.mark.parametrize("loss", ["gone", "older"])
def test_what_only_the_outbox_still_has_is_delivered_after_the_state_was_lost(
    enrolled: Agent, hub: RunningHub, tmp_path: Path, loss: str
) -> None:
    enrolled.sign(2)
    assert enrolled.run("ship").code == 0
    shutil.copytree(enrolled.state, tmp_path / "older", symlinks=True, ignore=shutil.ignore_patterns("outbox"))
    for _ in range(2):
        enrolled.sign(2)
        with_batches(enrolled)
    (old,), before = enrolled.leaves(), enrolled.leaves()
    spool = tmp_path / "spool"  # which the service has on another file system than the state
    shutil.move(enrolled.state / "outbox", spool)
    shutil.rmtree(enrolled.state)
    if loss == "older":
        shutil.move(tmp_path / "older", enrolled.state)
    else:
        enrolled.state.mkdir(0o700)
    shutil.move(spool, enrolled.state / "outbox")
    enrolled.evidenced("inventory", "--sign", "--table", "users", "--state", enrolled.state)
    assert enrolled.enroll(url_of(hub)).code == 0  # the new key, at the same hub
    ran = enrolled.run("ship")
    assert ran.code == 0, ran.err
    there, here = leaves_at(hub), enrolled.leaves()
    assert there[old] == before[old]
    (new,) = set(here) - {old}
    assert there[new] == here[new]
    assert list((enrolled.state / "outbox").iterdir()) == []


def test_an_uploader_that_lost_its_folder_delivers_the_same_again(enrolled: Agent, hub: RunningHub) -> None:
    enrolled.sign(2)
    with_batches(enrolled)
    (batch,) = (enrolled.state / "outbox").iterdir()
    kept = batch.read_bytes()
    assert enrolled.run("ship").code == 0
    batch.write_bytes(kept)  # as if it had not been taken away yet
    shutil.rmtree(enrolled.state / "upload")
    assert enrolled.run("ship").code == 0
    assert has(hub, enrolled)


@pytest.mark.slow
@pytest.mark.usefixtures("own")
def test_a_large_batch_goes_on_in_the_middle_after_the_hub_was_killed(enrolled: Agent, hub: RunningHub) -> None:
    enrolled.sign(1, rows=20_000)
    with_batches(enrolled)
    (batch,) = (enrolled.state / "outbox").iterdir()
    size = batch.stat().st_size
    progress = enrolled.state / "upload/sinks/hub.json"
    progress.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    progress.parent.parent.chmod(0o700)
    progress.write_text(f'{{"piece":{64 << 10}}}')
    progress.chmod(0o600)
    enrolled.config.write_text('[upload]\nrate = "256KiB"\n')
    process = enrolled.upload()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and received(hub) < 64 << 10:
        time.sleep(0.02)
    hub.kill()
    hub.start()
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    told = process.communicate(timeout=10)
    assert time.monotonic() - began < 5
    enrolled.config.write_text("")
    before = received(hub)
    assert 64 << 10 <= before < size, (told, size, hub.log_text())
    assert enrolled.run("ship").code == 0
    assert received(hub) == size
    assert_nothing_lost(enrolled, hub)


def received(hub: RunningHub) -> int:
    """Return the bytes of all pieces that a hub has taken."""
    return sum(each["received"] for each in hub.log_lines() if each["method"] == "PATCH" and each["status"] < 300)


def test_a_rotated_key_needs_no_enrolment(enrolled: Agent, hub: RunningHub) -> None:
    enrolled.sign()
    assert enrolled.evidenced("keys", "rotate", "--state", enrolled.state).code == 0
    enrolled.sign()
    assert enrolled.run("ship").code == 0
    assert len(enrolled.leaves()) == 2
    assert_nothing_lost(enrolled, hub)


def test_a_host_that_rotated_before_it_enrolled_delivers_its_older_logs_too(agent: Agent, hub: RunningHub) -> None:
    agent.evidenced("inventory", "--sign", "--table", "users", "--state", agent.state)
    assert agent.evidenced("keys", "rotate", "--state", agent.state).code == 0
    assert agent.evidenced("keys", "rotate", "--state", agent.state).code == 0
    assert agent.enroll(url_of(hub)).code == 0
    assert agent.run("ship").code == 0
    assert len(agent.leaves()) == 3
    assert_nothing_lost(agent, hub)


def test_with_key_and_token_configured_the_uploader_enrols_by_itself(agent: Agent, hub: RunningHub) -> None:
    agent.evidenced("inventory", "--sign", "--table", "users", "--state", agent.state)
    agent.sink(url_of(hub), hub.describe()["vkey"], f'token_file = "{agent.token}"')
    assert agent.run("ship").code == 0
    assert_nothing_lost(agent, hub)


@pytest.mark.usefixtures("own")
def test_without_a_key_nothing_is_sent_to_a_hub(agent: Agent, hub: RunningHub) -> None:
    agent.evidenced("inventory", "--sign", "--table", "users", "--state", agent.state)
    agent.sink(url_of(hub), "x")
    agent.config.write_text(agent.config.read_text().replace('vkey = "x"\n', ""))
    ran = agent.run("ship")
    assert ran.code == 3
    assert "run evidenced enroll" in ran.out
    assert [each for each in hub.log_lines() if each["method"] == "POST"] == []


def test_to_enrol_again_changes_nothing(enrolled: Agent, hub: RunningHub) -> None:
    before, config = enrolled.leaves(), list((enrolled.folder / "conf.d").iterdir())
    ran = enrolled.enroll(url_of(hub))
    assert ran.code == 0
    assert "trusted" not in ran.err
    assert enrolled.leaves() == before
    assert list((enrolled.folder / "conf.d").iterdir()) == config


@pytest.mark.usefixtures("own")
def test_trust_on_first_use_is_said_and_a_key_that_was_given_is_compared(agent: Agent, hub: RunningHub) -> None:
    other = RunningHub(agent.folder / "other", name="other.example").start()
    theirs = other.describe()["vkey"]
    other.kill()
    refused = agent.enroll(url_of(hub), "--hub-key", theirs)
    assert refused.code == 3
    assert "pinned" in refused.err
    assert [each for each in hub.log_lines() if each["method"] == "POST"] == []
    given = agent.enroll(url_of(hub), "--hub-key", hub.describe()["vkey"])
    assert (given.code, "trusted because it answered first" in given.err) == (0, False)


@pytest.mark.usefixtures("own")
def test_a_hub_that_has_another_key_than_the_pinned_is_refused_and_explained(enrolled: Agent, hub: RunningHub) -> None:
    assert hub.stop() == 0
    shutil.rmtree(hub.data)
    hub.start()
    ran = enrolled.enroll(url_of(hub))
    assert ran.code == 3
    assert "pinned, found another key; ask its operator on another way" in ran.err
    enrolled.sign()
    assert enrolled.run("ship").code == 3


@pytest.mark.usefixtures("own")
def test_a_new_key_is_taken_once_a_person_took_out_the_old_one_and_named_it(enrolled: Agent, hub: RunningHub) -> None:
    assert hub.stop() == 0
    shutil.rmtree(hub.data)
    vkey = hub.start().describe()["vkey"]
    ran = enrolled.enroll(url_of(hub), "--hub-key", vkey)
    assert (ran.code, "take the old vkey out of the configuration first" in ran.err) == (3, True)
    [sink] = (enrolled.folder / "conf.d").iterdir()
    sink.write_text("".join(line for line in sink.read_text().splitlines(keepends=True) if "vkey" not in line))
    assert enrolled.enroll(url_of(hub)).code == 3, "what was pinned is taken out by nobody but who names the new one"
    ran = enrolled.enroll(url_of(hub), "--hub-key", vkey)
    assert (ran.code, f"hub key   {vkey}\n" in ran.out, "trusted" in ran.err) == (0, True, False)
    enrolled.sign()
    assert enrolled.run("ship").code == 0
    assert has(hub, enrolled)


def test_without_a_token_the_next_step_is_to_get_one(agent: Agent, hub: RunningHub) -> None:
    ran = agent.run("enroll", "--hub", url_of(hub))
    assert ran.code == 3
    assert "ask the operator of the hub for a token, and name its file with token_file (evidenced enroll" in ran.err


def test_to_ship_before_anything_is_signed_leaves_a_state_that_can_be_used(agent: Agent, hub: RunningHub) -> None:
    agent.sink(url_of(hub), hub.describe()["vkey"])
    assert (agent.run("ship").code, agent.state.stat().st_mode & 0o777) == (0, 0o700)
    assert agent.enroll(url_of(hub)).code == 0


def test_a_token_that_is_not_known_enrols_nobody_and_is_not_shown(agent: Agent, hub: RunningHub) -> None:
    agent.token.write_text("canary-token")
    ran = agent.enroll(url_of(hub))
    assert ran.code == 3
    assert "ask the operator of the hub for another token" in ran.err
    assert "canary" not in ran.out + ran.err
    assert not (agent.folder / "conf.d").exists()


def test_where_the_configuration_may_not_be_written_the_sink_is_printed(
    agent: Agent, hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("agent.delivery.hub_settings.write", refuse)
    ran = agent.enroll(url_of(hub))
    assert ran.code == 0
    agent.config.write_text(ran.out[ran.out.index("[[sinks]]") :])
    assert agent.run("ship").code == 0
