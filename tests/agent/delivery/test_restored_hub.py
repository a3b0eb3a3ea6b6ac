"""The real hub is put back to a backup (fault N8): it gets every leaf again, each once, of one host, by itself."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.observing import now
from evidence import note
from evidence.accepting import ReceiptError
from evidence.keys import PrivateKey
from evidence.log import EvidenceStore
from evidence.note import Checkpoint
from evidence.reader import StoreReader
from hub.database import Database
from tests.agent.command_line import Evidenced
from tests.agent.delivery.typed import Agent, assert_nothing_lost, leaves_at, url_of, with_batches
from tests.hub.running import RunningHub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[RunningHub]:
    running = RunningHub(tmp_path / "hub").start()
    yield running
    running.kill()


@pytest.fixture
def agent(tmp_path: Path, evidenced: Evidenced) -> Agent:
    made = Agent(tmp_path / "agent", evidenced)
    evidenced("inventory", "--sign", "--table", "users", "--state", made.state)
    return made


@pytest.fixture
def enrolled(agent: Agent, hub: RunningHub) -> Agent:
    assert agent.enroll(url_of(hub)).code == 0
    return agent


def back_up(hub: RunningHub) -> Path:
    """Copy what the hub has now."""
    assert hub.stop() == 0
    backup = hub.data.with_name("backup")
    shutil.copytree(hub.data, backup)
    hub.start()
    return backup


def put_back(hub: RunningHub, backup: Path) -> None:
    """Have the hub forget what came after the backup."""
    assert hub.stop() == 0
    shutil.rmtree(hub.data)
    shutil.copytree(backup, hub.data)
    hub.start()


def ship(agent: Agent, code: int = 0) -> str:
    ran = agent.run("ship")
    assert ran.code == code, ran.out + ran.err
    return ran.out


def sign_and_ship(agent: Agent) -> None:
    agent.sign(2)
    ship(agent)


def rotate(agent: Agent) -> None:
    assert agent.evidenced("keys", "rotate", "--state", agent.state).code == 0


def begin_an_epoch(agent: Agent) -> None:
    """Have the next entry begin a new log of the same key, as after a state that was put back or damaged."""
    key = PrivateKey.from_pkcs8_pem((agent.state / "keys/agent.pem").read_text())
    with StoreReader(str(agent.state)) as reader:
        log = reader.logs()[-1]
    proof = note.sign(Checkpoint(log.origin, 2, b"f" * 32).text(), log.origin, key).encode()
    with (
        EvidenceStore.open(str(agent.state), machine=None, clock=now) as store,
        contextlib.suppress(ReceiptError),
    ):
        store.accept_receipt(log.id, proof, [])


def hosts_of(hub: RunningHub) -> list[str]:
    database = Database(str(hub.data / "hub.sqlite"))
    try:
        return [row["name"] for row in database.all("SELECT name FROM hosts ORDER BY id")]
    finally:
        database.close()


def assert_all_is_there_once(agent: Agent, hub: RunningHub) -> None:
    """O3, and no second host."""
    assert_nothing_lost(agent, hub)
    assert leaves_at(hub) == agent.leaves()
    assert len(hosts_of(hub)) == 1


def asked(hub: RunningHub) -> int:
    """Return how often a hub was asked for the size of a log."""
    return sum(each["method"] == "GET" and "/v1/logs/" in (each["path"] or "") for each in hub.log_lines())


def test_from_before_a_rotation_the_tail_of_the_closed_log_comes_first_and_brings_the_key(
    enrolled: Agent, hub: RunningHub
) -> None:
    ship(enrolled)
    backup = back_up(hub)
    sign_and_ship(enrolled)
    rotate(enrolled)
    sign_and_ship(enrolled)
    put_back(hub, backup)
    sign_and_ship(enrolled)
    assert len(enrolled.leaves()) == 2
    assert_all_is_there_once(enrolled, hub)
    posts = [each for each in hub.log_lines() if (each["method"], each["path"]) == ("POST", "/v1/enrolments")]
    assert len(posts) == 1  # a key that was rotated needs no token


def test_from_before_three_rotations_every_log_comes_back_in_one_attempt(enrolled: Agent, hub: RunningHub) -> None:
    ship(enrolled)
    backup = back_up(hub)
    for _ in range(3):
        rotate(enrolled)
        sign_and_ship(enrolled)
    put_back(hub, backup)
    sign_and_ship(enrolled)
    assert len(enrolled.leaves()) == 4
    assert_all_is_there_once(enrolled, hub)


def test_from_before_an_epoch_of_the_same_key_the_tail_of_the_closed_log_is_not_forgotten(
    enrolled: Agent, hub: RunningHub
) -> None:
    ship(enrolled)
    backup = back_up(hub)
    sign_and_ship(enrolled)
    begin_an_epoch(enrolled)
    sign_and_ship(enrolled)
    put_back(hub, backup)
    sign_and_ship(enrolled)
    assert len(enrolled.leaves()) == 2
    assert_all_is_there_once(enrolled, hub)


def test_a_log_that_begins_after_the_hub_was_put_back_shows_that_the_one_before_it_lacks_its_tail(
    enrolled: Agent, hub: RunningHub
) -> None:
    ship(enrolled)
    backup = back_up(hub)
    sign_and_ship(enrolled)
    put_back(hub, backup)
    begin_an_epoch(enrolled)  # the new log begins at 0: by itself it goes on where nothing lacks
    sign_and_ship(enrolled)
    assert len(enrolled.leaves()) == 2
    assert_all_is_there_once(enrolled, hub)


def test_from_before_the_enrolment_a_token_lets_the_host_enrol_with_its_history(agent: Agent, hub: RunningHub) -> None:
    backup = back_up(hub)
    agent.sink(url_of(hub), hub.describe()["vkey"], f'token_file = "{agent.token}"')
    sign_and_ship(agent)
    rotate(agent)
    sign_and_ship(agent)
    begin_an_epoch(agent)
    sign_and_ship(agent)
    put_back(hub, backup)
    sign_and_ship(agent)
    assert len(agent.leaves()) == 3
    assert_all_is_there_once(agent, hub)


def test_from_before_the_enrolment_without_a_token_status_says_what_to_do_and_then_all_comes(
    enrolled: Agent, hub: RunningHub
) -> None:
    assert hub.stop() == 0
    for each in ("hub.sqlite", "hub.sqlite-wal", "hub.sqlite-shm"):
        (hub.data / each).unlink(missing_ok=True)  # the keys stay
    hub.start()
    with_batches(enrolled)
    before = {each.name for each in (enrolled.state / "outbox").iterdir()}
    assert "run evidenced enroll" in ship(enrolled, 3)
    assert {each.name for each in (enrolled.state / "outbox").iterdir()} == before
    status = enrolled.evidenced("status", "--json", "--state", enrolled.state)
    assert "run evidenced enroll" in json.dumps(json.loads(status.out)["sinks"])
    assert enrolled.enroll(url_of(hub)).code == 0
    sign_and_ship(enrolled)
    assert_all_is_there_once(enrolled, hub)


def test_a_person_who_enrols_the_new_key_of_a_host_makes_no_second_host_of_it(enrolled: Agent, hub: RunningHub) -> None:
    ship(enrolled)
    backup = back_up(hub)
    sign_and_ship(enrolled)
    rotate(enrolled)
    sign_and_ship(enrolled)
    put_back(hub, backup)
    assert enrolled.enroll(url_of(hub)).code == 0
    sign_and_ship(enrolled)
    assert_all_is_there_once(enrolled, hub)


def test_with_nothing_new_it_is_noticed_with_the_next_entry_a_heartbeat_at_the_latest(
    enrolled: Agent, hub: RunningHub
) -> None:
    ship(enrolled)
    backup = back_up(hub)
    sign_and_ship(enrolled)
    rotate(enrolled)
    sign_and_ship(enrolled)
    put_back(hub, backup)
    assert ship(enrolled) == "hub: 0 batches delivered, nothing is left\n"
    assert leaves_at(hub) != enrolled.leaves()
    enrolled.sign()  # a heartbeat is no more than an entry
    ship(enrolled)
    assert_all_is_there_once(enrolled, hub)


def test_a_hub_is_asked_for_sizes_once_for_each_log_that_begins_and_never_for_a_delivery(
    enrolled: Agent, hub: RunningHub
) -> None:
    for _ in range(3):
        sign_and_ship(enrolled)
    assert asked(hub) == 0  # there is no closed log
    for others in (0, 1):  # of the log that was just closed it has taken the end in the same attempt
        rotate(enrolled)
        for _ in range(3):
            sign_and_ship(enrolled)
        assert asked(hub) == others
