"""Uploader and signer together, in one process: what one of them notices, the other mends."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from agent.collection.receiver import Collection
from agent.delivery import address
from agent.delivery.moment import real
from agent.delivery.one_sink import OneSink, Outcome
from agent.delivery.outbox import Outgoing
from agent.delivery.pace import Pace
from agent.delivery.progress import records
from agent.delivery.results import Result
from agent.delivery.sinks.contract import Sink
from agent.delivery.sinks.directory import DirectorySink
from agent.delivery.sinks.http_put import HttpPutSink
from agent.delivery.transport import Client
from agent.places import places
from agent.signing import shrinking
from agent.signing.asking import Door
from agent.signing.desk import Desk
from agent.signing.policy import Policy, SinkPolicy
from agent.signing.protocol import Answer, Question
from tests.agent.delivery.hostile import Heard, answers, hostile
from tests.agent.signing.spooled import DIRECTORY, Made


class AtOnce(Door):
    """A signer that answers without a socket."""

    def __init__(self, made: Made) -> None:
        super().__init__()
        self._made = made

    def ask(self, question: Question, collections: Sequence[Collection] = ()) -> Answer:
        return Desk(self._made.clerk, self._made.outbox).answer(question, collections, 0)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    made = Made(places(str(tmp_path / "state")), DIRECTORY)
    yield made
    made.clerk.close()


def attempt(made: Made, name: str, open_sink: Callable[[], Sink]) -> Outcome:
    with records(made.where.upload, 1) as kept:
        one = OneSink(name, made.where.outbox, kept, AtOnce(made), real(), lambda _: None, in_order=False)
        return one.run(lambda _: open_sink(), by_hand=True)


@pytest.mark.parametrize("at", [60, -30], ids=["in its head", "near its end"])
def test_a_batch_whose_bits_flipped_is_delivered_whole_in_the_end(made: Made, tmp_path: Path, at: int) -> None:
    for rows in (1, 2):
        made.snapshots(rows)
        made.outbox.write()
    good = {name: Path(made.where.outbox, name).read_bytes() for name in made.names}
    damaged = Path(made.where.outbox, made.names[0])
    data = bytearray(damaged.read_bytes())
    data[at] ^= 1
    damaged.write_bytes(data)
    stick = tmp_path / "stick"
    stick.mkdir()
    for _ in range(2):
        attempt(made, "stick", lambda: DirectorySink("stick", str(stick)))
    assert {name: (stick / name).read_bytes() for name in os.listdir(stick)} == good
    assert made.names == []


def test_a_batch_that_is_trimmed_while_it_is_sent_does_not_take_the_place_of_the_whole_one(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shrinking, "WORTH_BYTES", 100)
    made.policy = Policy({"store": SinkPolicy("http-put")})
    made.snapshots(2000)
    made.outbox.write()
    whole = Path(made.where.outbox, made.names[0]).read_bytes()
    there: dict[str, bytes] = {}

    def store(connection: socket.socket, heard: Heard) -> None:
        method, path, _ = heard.line.split()
        if method == "PUT":
            there[path] = heard.body
        (answers(201) if method == "PUT" else answers(200, there[path]))(connection, heard)

    class Store(HttpPutSink):
        def deliver(self, batch: Outgoing) -> Result:
            result = super().deliver(batch)
            made.policy = Policy(made.policy.sinks, 1)
            made.again().write()  # the budget is over before the signer is told
            return result

    with hostile(store) as server:
        client = Client(address.parse(server.url + "/x", "url"))
        attempt(made, "store", lambda: Store("store", client, Pace(1 << 30), confirm="read-back"))
    assert whole in there.values()
