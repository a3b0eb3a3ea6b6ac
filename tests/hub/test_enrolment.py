"""Enrolment: a token, a proof, and never a second key for a log id."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from evidence import dsse, sshsig
from evidence.keys import PrivateKey
from hub import tokens
from hub.enrolment import NAMESPACE, Nonces, message
from hub.folder import visiting
from tests.hub.agents import Agent
from tests.hub.running import NAME, TOKEN, RunningHub


def test_a_key_is_enrolled_once_and_the_answer_repeats(hub: RunningHub) -> None:
    agent = Agent(1, "one.example")
    first, again = hub.enrol(agent), hub.enrol(agent)
    about = hub.describe()
    assert (first.status, again.status) == (201, 200)
    assert first.json == again.json
    expected = {"hub": NAME, "log": agent.log.id, "name": "one.example"}
    assert first.json == {**expected, "vkey": about["vkey"], "witness_vkey": about["witness_vkey"]}


def test_the_hub_describes_itself_and_never_gives_a_nonce_twice(hub: RunningHub) -> None:
    first, second = hub.describe(), hub.describe()
    assert first.pop("nonce") != second.pop("nonce")
    assert first == second
    assert first["protocol"] == 1
    assert first["name"] == NAME
    assert (first["max_chunk"], first["max_batch"]) == (4 << 20, 256 << 20)


@pytest.mark.parametrize("token", ["", "wrong-token-0123456789", TOKEN + "x", "é" * 20])
def test_no_token_no_enrolment(hub: RunningHub, token: str) -> None:
    answer = hub.enrol(Agent(2), token.encode("utf-8").decode("latin-1"))
    assert (answer.status, answer.kind, answer.headers["WWW-Authenticate"]) == (401, "token", "Bearer")


def test_a_token_of_the_operator_enrols_until_it_is_used_up_revoked_or_old(hub: RunningHub) -> None:
    now = int(time.time())
    with visiting(str(hub.data)) as folder:
        once = tokens.new(folder.database, "once", now, expires=None, uses=1)
        old = tokens.new(folder.database, "old", now, expires=now - 1, uses=None)
        gone = tokens.new(folder.database, "gone", now, expires=None, uses=None)
        tokens.revoke(folder.database, tokens.listed(folder.database)[-1].id, now)
    assert hub.enrol(Agent(3), once).status == 201
    assert hub.enrol(Agent(3), once).status == 200  # the same key again costs nothing
    assert [hub.enrol(Agent(4), each).status for each in (once, old, gone)] == [401, 401, 401]


def test_a_proof_by_another_key_is_refused(hub: RunningHub) -> None:
    agent, thief = Agent(5), PrivateKey(b"\x66" * 32)
    nonce = hub.describe()["nonce"]
    proof = sshsig.sign(message(NAME, nonce, agent.log.origin), thief, NAMESPACE)
    assert hub.enrol(agent, nonce=nonce, proof=proof).kind == "proof"


@pytest.mark.parametrize("what", ["hub", "nonce", "origin", "namespace"])
def test_a_proof_for_something_else_is_refused(hub: RunningHub, what: str) -> None:
    agent = Agent(6)
    nonce = hub.describe()["nonce"]
    said = {"hub": NAME, "nonce": nonce, "origin": agent.log.origin, "namespace": NAMESPACE}
    said[what] += "x"
    proof = sshsig.sign(message(said["hub"], said["nonce"], said["origin"]), agent.key, said["namespace"])
    assert hub.enrol(agent, nonce=nonce, proof=proof).kind == "proof"


@pytest.mark.parametrize("nonce", ["", "x", "1.2.3", "é", "0" * 200, "65000000.00000000000000000000000000000000.0"])
def test_a_nonce_that_is_not_the_hubs_is_refused(hub: RunningHub, nonce: str) -> None:
    assert hub.enrol(Agent(7), nonce=nonce).kind == "nonce"


def test_a_nonce_is_good_for_ten_minutes() -> None:
    nonces = Nonces(600)
    nonce = nonces.new(1000)
    assert [nonces.accepts(nonce, at) for at in (999, 1000, 1600, 1601)] == [False, True, True, False]
    assert not Nonces(600).accepts(nonce, 1000)  # of another process


def change(**changes: Any) -> dict[str, Any]:
    return changes


@pytest.mark.parametrize(
    "changes",
    [
        change(key="AAAA"),
        change(key=base64.b64encode(PrivateKey(b"\x01" * 32).public.spki).decode()),
        change(key=7),
        change(name=""),
        change(name="a\nb"),
        change(name="x" * 256),
        change(origin="evidenced/0123456789abcdef/1"),
        change(origin="../../etc/passwd"),
        change(further=1),
        change(rotations=[{}]),
        change(proof="x" * 5000),
    ],
)
def test_a_malformed_enrolment_is_refused(hub: RunningHub, changes: dict[str, Any]) -> None:
    answer = hub.enrol(Agent(8), **changes)
    assert (answer.status, answer.kind) == (400, "malformed")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"key":1e400}',
        b'{"key":NaN}',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"[" * 60000,
        b'{"a":1,"a":1}',
    ],
)
def test_json_that_reads_in_two_ways_is_refused(hub: RunningHub, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    answer = hub.ask("POST", "/v1/enrolments", body, headers)
    assert (answer.status, answer.kind) == (400, "malformed")


def test_a_second_key_for_a_known_log_id_is_refused(hub: RunningHub) -> None:
    agent = Agent(9)
    assert hub.enrol(agent).status == 201
    with visiting(str(hub.data)) as folder, folder.database.transaction() as connection:
        # a second key with the same 64 bits is not to be had; the other way round it is the same case
        other = PrivateKey(b"\x10" * 32).public.raw
        connection.execute("UPDATE keys SET raw = ? WHERE id16 = ?", (other, agent.key.public.id16))
    assert (hub.enrol(agent).status, hub.enrol(agent).kind) == (409, "key")


def rotated(seeds: tuple[int, ...]) -> tuple[Agent, list[dict[str, str]]]:
    """Return a host that changed its key, and what shows it."""
    agent = Agent(seeds[0])
    shown = []
    for seed in seeds[1:]:
        closed = agent.log
        agent.store.rotate(PrivateKey(seed.to_bytes(32, "big")), agent.wall())
        envelope = closed.entries[-1].envelope
        assert envelope is not None
        key = base64.b64encode(closed.key.public.spki).decode()
        shown.append({"envelope": envelope.decode(), "key": key, "origin": closed.origin})
    return agent, shown


def test_older_keys_are_taken_with_the_entries_that_handed_over(hub: RunningHub) -> None:
    agent, shown = rotated((20, 21, 22))
    assert hub.enrol(agent, rotations=shown).status == 201
    with visiting(str(hub.data)) as folder:
        rows = folder.database.all("SELECT id16, host, how FROM keys WHERE host = (SELECT max(host) FROM keys)")
    assert sorted(row["how"] for row in rows) == ["enrolled", "history", "history"]


def hosts_with(hub: RunningHub, agent: Agent) -> list[tuple[int, int]]:
    """Return the keys of the hosts of an agent's name, and how many logs of theirs are stored."""
    query = (
        "SELECT hosts.id, (SELECT count(*) FROM logs WHERE host = hosts.id AND size > 0) AS logs, "
        "(SELECT count(*) FROM keys WHERE host = hosts.id) AS keys FROM hosts WHERE name = ?"
    )
    with visiting(str(hub.data)) as folder:
        return [(row["keys"], row["logs"]) for row in folder.database.all(query, agent.name)]


def test_a_new_key_that_a_known_one_led_to_is_of_the_same_host_and_costs_no_token(hub: RunningHub) -> None:
    with visiting(str(hub.data)) as folder:
        once = tokens.new(folder.database, "for one host", 0, expires=None, uses=1)
    agent = Agent(60)
    assert hub.enrol(agent, once).status == 201
    later, shown = rotated((60, 61, 62))
    assert hub.enrol(later, once, rotations=shown, name=agent.name).status == 201
    assert hosts_with(hub, agent) == [(3, 0)]
    assert hub.enrol(Agent(63), once).status == 401


def test_two_hosts_become_one_when_the_end_of_a_log_shows_that_the_key_of_one_led_to_the_other(
    hub: RunningHub, tmp_path: Path
) -> None:
    agent, _ = rotated((70, 71))
    old, new = agent.store.logs()
    first = Agent(70, name=agent.name)
    assert hub.enrol(first).status == 201
    assert hub.enrol(agent).status == 201  # as if it had nothing to show
    agent.append(2)
    assert hub.send(agent.batch(tmp_path, log=agent.log)).status == 200
    assert hosts_with(hub, agent) == [(1, 0), (1, 1)]
    assert hub.send(agent.batch(tmp_path, log=old)).status == 200
    assert hosts_with(hub, agent) == [(2, 2)]
    agent.append(2)
    assert hub.send(agent.batch(tmp_path, len(new.leaves) - 2, log=agent.log)).status == 200
    assert hosts_with(hub, agent) == [(2, 2)]


def test_older_keys_that_did_not_hand_over_are_refused(hub: RunningHub) -> None:
    agent, shown = rotated((30, 31, 32))
    stranger, strange = rotated((33, 34))
    resigned = dsse.decode(shown[0]["envelope"].encode())
    one_sided = dsse.sign(resigned.payload, [PrivateKey((30).to_bytes(32, "big"))]).encode().decode()
    for rotations in (
        shown[:1],  # the middle one lacks
        shown[::-1],
        [*strange, *shown],
        [{**shown[0], "envelope": one_sided}, shown[1]],
        [{**shown[0], "origin": shown[1]["origin"]}, shown[1]],
        [{**shown[0], "envelope": "{}"}, shown[1]],
    ):
        assert hub.enrol(agent, rotations=rotations).status in (400, 403), json.dumps(rotations)
    assert stranger.log.key.public.id16 not in hub.log_text()


def test_no_token_and_no_proof_stands_in_the_log(hub: RunningHub) -> None:
    agent = Agent(40)
    hub.enrol(agent)
    hub.ask("GET", f"/v1/hub?token={TOKEN}", headers={"Authorization": f"Bearer {TOKEN}"})
    hub.ask("GET", f"/secret/{TOKEN}")
    assert TOKEN not in hub.log_text()
    assert "SSH SIGNATURE" not in hub.log_text()
    last = hub.line(lambda each: each.get("status") == 404)
    assert (last["method"], last["path"], last["kind"]) == ("GET", None, "unknown")
