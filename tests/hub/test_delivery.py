"""A batch reaches the hub: in one request, in pieces, again, without blobs, over epochs and rotations."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

from evidence import note, tree
from evidence.keys import PrivateKey
from evidence.note import Checkpoint, Verifier
from tests.hub.agents import Agent
from tests.hub.running import Answer, RunningHub


def acknowledged(hub: RunningHub, agent: Agent, answer: Answer, size: int) -> None:
    """Check an answer as an uploader must."""
    assert answer.status == 200, answer.body
    assert answer.headers["Upload-Complete"] == "?1"
    found = note.parse(answer.body)
    checkpoint = Checkpoint.parse(found.text)
    verified = note.verify(found, [Verifier(agent.log.origin, agent.log.key.public), hub.verifiers()[0]])
    assert [each.time is None for each in verified] == [True, False]
    assert checkpoint == Checkpoint(agent.log.origin, size, tree.root(agent.log.leaves[:size]))


def test_a_batch_in_one_request_is_answered_with_a_signature(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent = new_agent()
    agent.append(3)
    acknowledged(hub, agent, hub.send(agent.batch(tmp_path)), 4)
    agent.append(2)
    acknowledged(hub, agent, hub.send(agent.batch(tmp_path, 4)), 6)


def test_the_hub_shows_the_newest_acknowledgement(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent = new_agent()
    agent.append()
    answer = hub.send(agent.batch(tmp_path))
    shown = hub.ask("GET", f"/v1/logs/{agent.log.id}/checkpoint")
    assert (shown.status, shown.body) == (200, answer.body)
    assert shown.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_batch_in_pieces_is_answered_when_the_last_one_came(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent = new_agent()
    agent.append(5)
    batch = agent.batch(tmp_path)
    begun = hub.begin(batch)
    where = begun.headers["Location"]
    assert (begun.status, begun.headers["Upload-Offset"]) == (201, "0")
    assert begun.headers["Upload-Limit"] == "max-size=268435456, max-append-size=4194304, max-age=86400"
    first = hub.piece(where, 0, batch.data[:100], last=False)
    assert (first.status, first.headers["Upload-Offset"], first.body) == (204, "100", b"")
    asked = hub.ask("HEAD", where)
    assert (asked.status, asked.headers["Upload-Offset"], asked.headers["Upload-Complete"]) == (204, "100", "?0")
    assert (asked.headers["Upload-Length"], asked.headers["Cache-Control"]) == (f"{len(batch.data)}", "no-store")
    acknowledged(hub, agent, hub.piece(where, 100, batch.data[100:], last=True), 6)
    assert hub.ask("HEAD", where).status == 404


def test_an_upload_that_was_begun_is_continued(hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path) -> None:
    agent = new_agent()
    batch = agent.batch(tmp_path)
    where = hub.begin(batch).headers["Location"]
    hub.piece(where, 0, batch.data[:10], last=False)
    again = hub.begin(batch)
    assert (again.status, again.headers["Location"], again.headers["Upload-Offset"]) == (201, where, "10")


def test_a_last_piece_may_be_empty_when_all_is_there(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent = new_agent()
    batch = agent.batch(tmp_path)
    where = hub.begin(batch).headers["Location"]
    assert hub.piece(where, 0, batch.data, last=False).status == 204
    acknowledged(hub, agent, hub.piece(where, len(batch.data), b"", last=True), 1)


def test_a_batch_that_was_taken_gets_the_same_acknowledgement_again(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent = new_agent()
    batch = agent.batch(tmp_path)
    first = hub.send(batch)
    agent.append(2)
    acknowledged(hub, agent, hub.send(agent.batch(tmp_path, 1)), 3)
    assert hub.send(batch).body == first.body
    begun = hub.begin(batch)
    assert (begun.status, begun.body) == (200, first.body)


def test_entries_that_are_there_may_come_again_in_another_batch(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent = new_agent()
    agent.append(5)
    hub.send(agent.batch(tmp_path, 0, 4))
    acknowledged(hub, agent, hub.send(agent.batch(tmp_path, 2, 6)), 6)  # two of them are new
    acknowledged(hub, agent, hub.send(agent.batch(tmp_path, 1, 5)), 6)  # none is: the newest note is the answer


def test_a_batch_that_begins_behind_the_hub_gets_its_size(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent = new_agent()
    agent.append(5)
    hub.send(agent.batch(tmp_path, 0, 2))
    for answer in (hub.send(agent.batch(tmp_path, 4)), hub.begin(agent.batch(tmp_path, 4))):
        assert (answer.status, answer.body, answer.headers["Content-Type"]) == (409, b"2\n", "text/x.tlog.size")


def test_blobs_may_lack_and_come_later(hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path) -> None:
    agent = new_agent()
    agent.append(2, rows=agent.key.public.raw[0])
    acknowledged(hub, agent, hub.send(agent.batch(tmp_path, with_blobs=False)), 3)
    stored = hub.data / "blobs"
    rows = [digest for digest, data in agent.blobs().items() if b"daemon" in data]
    assert not any((stored / each[:2] / each).exists() for each in rows)
    acknowledged(hub, agent, hub.send(agent.batch(tmp_path)), 3)
    assert all((stored / each[:2] / each).exists() for each in rows)


def test_the_next_epoch_of_an_enrolled_key_is_taken(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent = new_agent()
    hub.send(agent.batch(tmp_path))
    agent.new_epoch()
    agent.append()
    acknowledged(hub, agent, hub.send(agent.batch(tmp_path)), 2)


def test_a_rotated_key_is_known_once_the_log_it_closed_is_there(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent = new_agent()
    agent.append()
    closed = agent.log
    agent.store.rotate(PrivateKey(bytes(31) + b"\x07"), agent.wall())
    assert hub.send(agent.batch(tmp_path)).kind == "not-enrolled"
    assert hub.send(agent.batch(tmp_path, log=closed)).status == 200
    acknowledged(hub, agent, hub.send(agent.batch(tmp_path)), 1)


def test_lost_entries_keep_their_places(hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path) -> None:
    agent = new_agent()
    agent.append(3)
    agent.store.lose(2)
    acknowledged(hub, agent, hub.send(agent.batch(tmp_path)), 4)


def test_cosignature_lines_in_the_announced_checkpoint_do_no_harm(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent = new_agent()
    batch = agent.batch(tmp_path)
    other = note.cosign(note.parse(batch.note).text, "elsewhere.example", PrivateKey(b"\x77" * 32), 1)
    header = base64.b64encode(note.parse(batch.note).with_line(other).encode()).decode()
    acknowledged(hub, agent, hub.send(batch, **{"Evidenced-Checkpoint": header}), 1)
