"""The hub as a stock C2SP witness: `add-checkpoint`, as a log client that knows only the specification calls it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import strategies

from evidence import note, tree
from evidence.keys import PrivateKey
from evidence.note import Checkpoint
from hub import witness
from hub.problem import Problem
from tests.evidence.foreign_verdicts import go_verdict_in
from tests.hub.agents import Agent
from tests.hub.running import Answer, RunningHub


def submit(hub: RunningHub, agent: Agent, old: int, size: int, **changes: Any) -> Answer:
    leaves = agent.log.leaves[:size]
    proof = changes.get("proof", tree.consistency_proof(leaves, old) if 0 < old <= size else [])
    lines = [f"old {old}", *(base64.b64encode(each).decode() for each in proof)]
    body = ("\n".join(lines) + "\n\n").encode() + changes.get("note", agent.checkpoint(size))
    return hub.ask("POST", "/add-checkpoint", body)


def test_consistent_checkpoints_are_cosigned_one_after_the_other(
    hub: RunningHub, new_agent: Callable[[], Agent]
) -> None:
    agent = new_agent()
    agent.append(9)
    verifier = hub.verifiers()[1]
    for old, size in ((0, 3), (3, 3), (3, 4), (4, 10)):
        answer = submit(hub, agent, old, size)
        assert answer.status == 200, answer.body
        whole = note.parse(agent.checkpoint(size) + answer.body)  # as the specification lets a client read it
        assert [each.verifier.name for each in note.verify(whole, [verifier])] == ["hub.example/witness"]


@pytest.mark.needs_program("go")
def test_a_log_that_uses_gos_own_code_takes_note_and_proof(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent = new_agent()
    agent.append(6)
    submit(hub, agent, 0, 4)
    leaves, payload = agent.log.leaves, agent.log.entries[2].payload
    assert payload is not None

    def encoded(data: bytes) -> str:
        return base64.b64encode(data).decode()

    request = {
        "Vkey": agent.key.public.vkey(agent.log.origin),
        "Note": encoded(agent.checkpoint(7) + submit(hub, agent, 4, 7).body),
        "Text": note.parse(agent.checkpoint(7)).text,
        "Size": 7,
        "Root": encoded(tree.root(leaves)),
        "Index": 2,
        "Record": encoded(payload),
        "Inclusion": [encoded(each) for each in tree.inclusion_proof(leaves, 2)],
        "OldSize": 4,
        "OldRoot": encoded(tree.root(leaves[:4])),
        "Consistency": [encoded(each) for each in tree.consistency_proof(leaves, 4)],
    }
    assert go_verdict_in(tmp_path)(request)


def test_the_cosignature_is_what_the_specification_says_byte_by_byte(
    hub: RunningHub, new_agent: Callable[[], Agent]
) -> None:
    agent = new_agent()
    line = submit(hub, agent, 0, 1).body.decode()
    name, key_id, key = hub.describe()["witness_vkey"].split("+", 2)
    raw = base64.b64decode(key)
    dash, who, data = line.removesuffix("\n").split(" ")
    signature = base64.b64decode(data)
    assert (dash, who, raw[0], signature[:4].hex()) == ("\u2014", name, 4, key_id)
    assert key_id == hashlib.sha256(name.encode() + b"\n\x04" + raw[1:]).hexdigest()[:8]
    text = agent.checkpoint(1).partition(b"\n\n")[0] + b"\n"
    signed = b"cosignature/v1\ntime %d\n" % int.from_bytes(signature[4:12], "big") + text
    Ed25519PublicKey.from_public_bytes(raw[1:]).verify(signature[12:], signed)  # raises if it is not


def test_a_client_that_does_not_know_the_size_is_told(hub: RunningHub, new_agent: Callable[[], Agent]) -> None:
    agent = new_agent()
    agent.append(4)
    submit(hub, agent, 0, 3)
    for answer in (submit(hub, agent, 0, 5), submit(hub, agent, 2, 5), submit(hub, agent, 4, 5)):
        assert (answer.status, answer.headers["Content-Type"], answer.body) == (409, "text/x.tlog.size", b"3\n")


def test_an_old_size_above_the_checkpoint_is_malformed(hub: RunningHub, new_agent: Callable[[], Agent]) -> None:
    agent = new_agent()
    agent.append(4)
    assert submit(hub, agent, 5, 3).status == 400


def test_an_unknown_origin_is_not_found(hub: RunningHub) -> None:
    assert submit(hub, Agent(60), 0, 1).status == 404
    other = Checkpoint("example.com/log", 1, bytes(32))
    body = b"old 0\n\n" + note.sign(other.text(), other.origin, PrivateKey(b"\x01" * 32)).encode()
    assert hub.ask("POST", "/add-checkpoint", body).status == 404


def test_a_checkpoint_that_the_log_did_not_sign_is_forbidden(hub: RunningHub, new_agent: Callable[[], Agent]) -> None:
    agent = new_agent()
    text = note.parse(agent.checkpoint(1)).text
    forged = note.sign(text, agent.log.origin, PrivateKey(b"\x01" * 32)).encode()
    assert submit(hub, agent, 0, 1, note=forged).kind == "signature"


def test_a_proof_that_does_not_hold_is_unprocessable(hub: RunningHub, new_agent: Callable[[], Agent]) -> None:
    agent = new_agent()
    agent.append(6)
    submit(hub, agent, 0, 3)
    good = tree.consistency_proof(agent.log.leaves[:7], 3)
    for proof in ([], good[:-1], [*good, bytes(32)], good[::-1], [bytes(32)] * 63):
        answer = submit(hub, agent, 3, 7, proof=proof)
        assert (answer.status, answer.kind) == (422, "proof")
    assert submit(hub, agent, 3, 7, proof=[bytes(32)] * 64).status == 400
    assert submit(hub, agent, 3, 7).status == 200


def test_one_size_with_two_roots_is_a_fork(hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path) -> None:
    agent = new_agent()
    agent.append(2)
    submit(hub, agent, 0, 3)
    other = Checkpoint(agent.log.origin, 3, bytes(32))
    forked = note.sign(other.text(), agent.log.origin, agent.key).encode()
    answer = submit(hub, agent, 3, 3, note=forked)
    assert (answer.status, answer.kind) == (409, "fork")
    assert answer.json["other"].encode() == forked
    assert (hub.send(agent.batch(tmp_path))).status == 200  # what continues the known log is taken


def test_what_the_witness_saw_binds_what_the_hub_stores(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent = new_agent()
    agent.append(2)
    hub.send(agent.batch(tmp_path))
    other = Checkpoint(agent.log.origin, 5, bytes(32))
    assert submit(hub, agent, 0, 5, note=note.sign(other.text(), agent.log.origin, agent.key).encode()).status == 200
    agent.append(4)
    answer = hub.send(agent.batch(tmp_path, 3))  # it leads past size 5, with another root there
    assert (answer.status, answer.kind) == (409, "fork")


def test_what_the_hub_stores_binds_what_the_witness_signs(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent = new_agent()
    agent.append(2)
    hub.send(agent.batch(tmp_path))
    other = Checkpoint(agent.log.origin, 2, bytes(32))
    answer = submit(hub, agent, 0, 2, note=note.sign(other.text(), agent.log.origin, agent.key).encode())
    assert (answer.status, answer.kind) == (409, "fork")


def test_delivering_does_not_move_the_witness(hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path) -> None:
    agent = new_agent()
    agent.append(2)
    hub.send(agent.batch(tmp_path))
    assert submit(hub, agent, 0, 3).status == 200
    shown = note.parse(hub.ask("GET", f"/v1/logs/{agent.log.id}/checkpoint").body)
    assert [each.name for each in shown.lines] == [agent.log.origin, "hub.example", "hub.example/witness"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        b"old 0\n\n",
        b"old 00\n\nx\n",
        b"old -1\n\nx\n",
        b"old 18446744073709551616\n\nx\n",
        b"Old 0\n\nx\n",
        b"old 0\r\n\r\nx\n",
        b"old 0\n!!!!\n\nevidenced/0123456789abcdef/1\n",
        b"old 0\nAAAA\n\nevidenced/0123456789abcdef/1\n",
        b"old 0\n\n\xff\xfe\n",
    ],
)
def test_a_malformed_submission_is_refused(hub: RunningHub, body: bytes) -> None:
    assert hub.ask("POST", "/add-checkpoint", body).status in (400, 404)


@hypothesis.settings(max_examples=100)
@hypothesis.given(
    strategies.binary(max_size=300) | strategies.binary(max_size=200).map(lambda data: b"old 0\n\n" + data)
)
def test_any_bytes_are_a_submission_or_refused(data: bytes) -> None:
    with contextlib.suppress(Problem):
        found = witness.parse(data)
        assert data.endswith(found.note)
        assert found.note.startswith(found.origin.encode())
