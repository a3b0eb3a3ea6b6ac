"""kill -9 at any moment, duplicates, a hub put back to an older state: nothing is lost, nothing is double."""

from __future__ import annotations

import contextlib
import http.client
import random
import shutil
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence import note, tree
from evidence.note import Checkpoint
from tests.hub.agents import Agent, BatchFile
from tests.hub.running import Answer, RunningHub

AGENTS, BATCHES, KILLS = 4, 6, 5


@contextlib.contextmanager
def store(hub: RunningHub) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(hub.data / "hub.sqlite")) as connection:
        yield connection


def leaves(hub: RunningHub, log_id: str) -> list[bytes]:
    """Return the leaves of a log in the hub's store; a range that is there twice or not at all fails."""
    query = (
        "SELECT first, count, leaves FROM pieces JOIN logs ON logs.number = pieces.log WHERE logs.id = ? ORDER BY first"
    )
    found: list[bytes] = []
    with store(hub) as connection:
        for first, count, data in connection.execute(query, (log_id,)):
            assert first == len(found)
            assert len(data) == 32 * count
            found += tree.split(data)
    return found


def holds_all(hub: RunningHub, agent: Agent) -> None:
    """Check that the hub's leaves are the agent's, each once, and that every blob is there and whole (O3)."""
    assert leaves(hub, agent.log.id) == agent.log.leaves
    for digest, data in agent.blobs().items():
        assert zlib.decompress((hub.data / "blobs" / digest[:2] / digest).read_bytes()) == data
    with store(hub) as connection:
        assert connection.execute("SELECT count(*) FROM missing").fetchone() == (0,)


def send(hub: RunningHub, batch: BatchFile, dice: random.Random) -> Answer | None:
    """Send a batch as an uploader does, whole or in pieces; None if the hub was killed on the way."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        if dice.random() < 0.5:
            return hub.send(batch)
        begun = hub.begin(batch)
        if begun.status != 201:
            return begun
        where, at = begun.headers["Location"], int(begun.headers["Upload-Offset"])
        middle = max(at, len(batch.data) // 2)
        if at < middle and hub.piece(where, at, batch.data[at:middle], last=False).status != 204:
            return None
        return hub.piece(where, middle, batch.data[middle:], last=True)
    return None


UP = threading.Event()
"""Set while the hub may be there."""


def deliver(hub: RunningHub, agent: Agent, batches: list[BatchFile], dice: random.Random, done: list[str]) -> None:
    """Deliver batches one after the other, each until it is acknowledged, and some of them twice."""
    for batch in batches:
        answer = None
        while answer is None or answer.status != 200:
            UP.wait()
            answer = send(hub, batch, dice)
            assert answer is None or answer.status in (200, 404, 409), answer.body
        acknowledged = Checkpoint.parse(note.parse(answer.body).text)
        assert acknowledged.root == tree.root(agent.log.leaves[: acknowledged.size])
        if dice.random() < 0.3:
            send(hub, batch, dice)
    done.append(agent.name)


@pytest.mark.slow
def test_kill_9_in_a_loop_loses_and_doubles_nothing(own_hub: RunningHub, tmp_path: Path) -> None:
    dice = random.Random(7)  # noqa: S311  when to kill is no secret
    agents = [Agent(seed) for seed in range(1, AGENTS + 1)]
    work = []
    for agent in agents:
        assert own_hub.enrol(agent).status == 201
        batches, first = [], 0
        for at in range(BATCHES):
            agent.append(2, rows=at)
            size = len(agent.log.leaves)
            batches.append(agent.batch(tmp_path, first, size))
            first = size
        work.append(batches)
    done: list[str] = []
    threads = [
        threading.Thread(target=deliver, args=(own_hub, agent, batches, random.Random(dice.random()), done))  # noqa: S311
        for agent, batches in zip(agents, work, strict=True)
    ]
    for each in threads:
        each.start()
    for _ in range(KILLS):
        UP.set()
        threads[0].join(dice.uniform(0.02, 0.2))
        UP.clear()
        own_hub.kill()
        own_hub.start()
    UP.set()
    for each in threads:
        each.join(60)
    assert sorted(done) == sorted(agent.name for agent in agents)
    for agent in agents:
        holds_all(own_hub, agent)
    own_hub.stop()
    own_hub.start()
    assert list((own_hub.data / "uploads").iterdir()) == []


def test_an_upload_goes_on_after_a_kill(own_hub: RunningHub, tmp_path: Path) -> None:
    agent = Agent(1)
    agent.append(5)
    own_hub.enrol(agent)
    batch = agent.batch(tmp_path)
    where = own_hub.begin(batch).headers["Location"]
    own_hub.piece(where, 0, batch.data[:200], last=False)
    own_hub.kill()
    own_hub.start()
    assert own_hub.ask("HEAD", where).headers["Upload-Offset"] == "200"
    assert own_hub.piece(where, 200, batch.data[200:], last=True).status == 200
    holds_all(own_hub, agent)


def test_what_a_killed_hub_left_half_written_is_removed(own_hub: RunningHub) -> None:
    own_hub.kill()
    for name in ("blobs/.staged.0123456789abcdef", "uploads/0123.part", "uploads/.0123.json.new"):
        path = own_hub.data / name
        path.touch(0o600)
    own_hub.start()
    assert [each for each in own_hub.data.rglob("*") if each.parent.name in ("blobs", "uploads")] == []


def test_the_same_batch_from_many_sides_at_once_is_taken_once(own_hub: RunningHub, tmp_path: Path) -> None:
    agent = Agent(1)
    agent.append(4, rows=1)
    own_hub.enrol(agent)
    batch = agent.batch(tmp_path)
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(own_hub.send(batch))) for _ in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [each.status for each in answers] == [200] * 12
    assert len({each.body for each in answers}) == 1
    holds_all(own_hub, agent)


def test_a_hub_that_was_put_back_takes_again_what_it_forgot(own_hub: RunningHub, tmp_path: Path) -> None:
    agent = Agent(1)
    own_hub.enrol(agent)
    agent.append(2, rows=1)
    assert own_hub.send(agent.batch(tmp_path, 0, 3)).status == 200
    own_hub.stop()
    shutil.copytree(own_hub.data, tmp_path / "backup")
    own_hub.start()
    agent.append(3, rows=2)
    later = agent.batch(tmp_path, 3)
    assert own_hub.send(later).status == 200
    own_hub.stop()
    shutil.rmtree(own_hub.data)
    shutil.move(tmp_path / "backup", own_hub.data)
    own_hub.start()
    shown = own_hub.ask("GET", f"/v1/logs/{agent.log.id}/checkpoint")
    assert Checkpoint.parse(note.parse(shown.body).text).size == 3
    agent.append()
    ahead = own_hub.send(agent.batch(tmp_path, 6))
    assert (ahead.status, ahead.body) == (409, b"3\n")
    assert own_hub.send(later).status == 200
    assert own_hub.send(agent.batch(tmp_path, 6)).status == 200
    holds_all(own_hub, agent)


def test_a_second_hub_on_the_same_folder_is_refused_with_what_to_do(own_hub: RunningHub) -> None:
    second = RunningHub(own_hub.data)
    found = (
        rf"expected no other evidenced-hub that serves this folder, found process {own_hub.pid}, which does; stop that"
    )
    with pytest.raises(AssertionError, match=found):
        second.start()


def test_a_full_disk_is_said_before_anything_is_sent(own_hub: RunningHub, tmp_path: Path) -> None:
    own_hub.stop()
    full = RunningHub(own_hub.data, "--reserve", f"{1 << 40}").start()
    agent = Agent(1)
    full.enrol(agent)
    answer = full.send(agent.batch(tmp_path))
    full.kill()
    assert (answer.status, answer.kind, answer.headers["Retry-After"]) == (507, "storage", "300")


def test_sigterm_lets_what_was_begun_end(own_hub: RunningHub) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", own_hub.port, timeout=20)
    connection.putrequest("POST", "/add-checkpoint")
    connection.putheader("Content-Length", "8")
    connection.endheaders(b"old ")
    stopping = threading.Thread(target=own_hub.stop)
    own_hub.ask("GET", "/v1/hub")
    stopping.start()
    connection.send(b"0\n\nx")
    assert connection.getresponse().status in (400, 404)
    stopping.join()
    connection.close()
