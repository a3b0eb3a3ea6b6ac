"""Forks are refused with proof, and what is merely old is not called one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

from evidence import note, tree
from evidence.note import Verifier
from tests.hub.agents import Agent
from tests.hub.running import Answer, RunningHub


def split(new_agent: Callable[[], Agent]) -> tuple[Agent, Agent]:
    """Return two hosts with one key, whose logs begin alike."""
    agent = new_agent()
    clone = Agent(int.from_bytes(bytes(agent.key._key), "big"))
    for each in (agent, clone):
        each.append(2)
    agent.append(3, rows=1)
    clone.append(3, rows=2)
    assert agent.log.leaves[:3] == clone.log.leaves[:3]
    assert agent.log.leaves[3] != clone.log.leaves[3]
    return agent, clone


def proves_a_fork(hub: RunningHub, agent: Agent, answer: Answer) -> None:
    """Check that the answer and the folder hold two signed checkpoints that contradict each other."""
    assert (answer.status, answer.kind) == (409, "fork"), answer.body
    own = Verifier(agent.log.origin, agent.key.public)
    for name in ("known", "other"):
        note.verify(note.parse(answer.json[name].encode()), [own])
    folders = [each for each in (hub.data / "forks").iterdir() if each.name.startswith(agent.log.id)]
    newest = max(folders, key=lambda each: each.stat().st_mtime_ns)
    assert (newest / "known").read_text("utf-8") == answer.json["known"]
    assert (newest / "other").read_text("utf-8") == answer.json["other"]
    proof = json.loads((newest / "proof.json").read_text())
    assert proof["known_root"] == base64.b64encode(tree.root(agent.log.leaves[: proof["at"]])).decode()
    assert proof["other_root"] != proof["known_root"]


def test_another_history_of_the_same_size(hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path) -> None:
    agent, clone = split(new_agent)
    hub.send(agent.batch(tmp_path))
    proves_a_fork(hub, agent, hub.send(clone.batch(tmp_path)))
    proves_a_fork(hub, agent, hub.begin(clone.batch(tmp_path)))  # before a byte of it is sent


def test_another_history_that_goes_further(hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path) -> None:
    agent, clone = split(new_agent)
    hub.send(agent.batch(tmp_path))
    clone.append(4)
    for first in (0, 3, 5, 6):  # 6: only its frontier tells
        proves_a_fork(hub, agent, hub.send(clone.batch(tmp_path, first)))


def test_another_history_of_a_part(hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path) -> None:
    agent, clone = split(new_agent)
    hub.send(agent.batch(tmp_path))
    proves_a_fork(hub, agent, hub.send(clone.batch(tmp_path, 0, 5)))


def test_a_smaller_size_of_the_same_history_is_no_fork(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent, clone = split(new_agent)
    hub.send(agent.batch(tmp_path))
    newest = hub.ask("GET", f"/v1/logs/{agent.log.id}/checkpoint").body
    answer = hub.send(clone.batch(tmp_path, 0, 3))
    assert (answer.status, answer.body) == (200, newest)


def test_the_known_history_is_continued_after_a_fork(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent, clone = split(new_agent)
    hub.send(agent.batch(tmp_path))
    assert hub.send(clone.batch(tmp_path)).status == 409
    agent.append()
    assert hub.send(agent.batch(tmp_path, 6)).status == 200


def test_a_batch_signed_by_another_key_is_no_fork_but_refused(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent, stranger = new_agent(), Agent(77)
    batch, other = agent.batch(tmp_path), stranger.batch(tmp_path)
    swapped = base64.b64encode(other.note).decode()
    assert hub.send(batch, **{"Evidenced-Checkpoint": swapped}).kind == "signature"
    assert hub.send(other).kind == "not-enrolled"


def test_forks_without_end_do_not_fill_the_disk(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent, clone = split(new_agent)
    hub.send(agent.batch(tmp_path))
    batch = clone.batch(tmp_path)
    for _ in range(110):
        assert hub.begin(batch).status == 409
    assert len([each for each in (hub.data / "forks").iterdir() if each.name.startswith(agent.log.id)]) == 100
