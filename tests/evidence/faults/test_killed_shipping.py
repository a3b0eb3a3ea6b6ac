"""S1 and S2 at the outbox: every call of writing a batch or keeping a receipt is refused, or the process dies in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from evidence import note, tree
from evidence.batch_form import place_of
from evidence.keys import PrivateKey
from evidence.log import EvidenceStore
from evidence.note import Checkpoint
from tests.evidence.batches import HERE, Taken, names_in
from tests.evidence.faults.injection import WRITES, Victim, checkpoints, copied, judge
from tests.evidence.known import WITNESS
from tests.evidence.store_parts import ticking

KILLED = -9


def outbox_beside(state: Path) -> Path:
    """Return an outbox in which a batch without blobs stands where the first one will come."""
    outbox = state.with_name("outbox")
    shutil.rmtree(outbox, ignore_errors=True)
    outbox.mkdir()
    with EvidenceStore.open(str(state), machine=HERE, clock=ticking(), wait_s=0) as store:
        store.write_batch(str(outbox), log_of(state), 0, size=2, with_blobs=False)
    return outbox


def log_of(state: Path) -> str:
    (log,) = (state / "logs").iterdir()
    return log.name


@pytest.mark.slow
@pytest.mark.needs_program("strace")
@pytest.mark.parametrize("call", WRITES)
def test_a_kill_at_any_call_leaves_whole_batches_or_none(
    victim: Victim, template: Path, scratch: Path, call: str
) -> None:
    state = copied(template, scratch / "state")
    outbox_beside(state)
    made = victim.counts("batch", state)[call]
    for at in range(1, made + 1):
        state = copied(template, scratch / "state")
        outbox = outbox_beside(state)
        before = checkpoints(state)
        outcome = victim.run("batch", state, f"{call}:signal=KILL:when={at}")
        assert outcome.status == KILLED, f"{call} {at}"
        batches = [each for each in names_in(outbox) if place_of(each) is not None]
        assert len(batches) in (1, 2), names_in(outbox)
        for each in batches:
            found = Taken(str(outbox / each))
            assert found.finished
            assert len(found.entries) == 2
        judge(state, [], before)
        assert victim.run("batch", state).status == 0
        assert [place_of(each) is not None for each in names_in(outbox)] == [True, True], names_in(outbox)
        assert all(Taken(str(outbox / each)).blobs for each in names_in(outbox))


@pytest.mark.slow
@pytest.mark.needs_program("strace")
@pytest.mark.parametrize("call", WRITES)
def test_a_call_that_is_refused_leaves_no_half_batch_and_is_made_good(
    victim: Victim, template: Path, scratch: Path, call: str
) -> None:
    state = copied(template, scratch / "state")
    outbox_beside(state)
    made = victim.counts("batch", state)[call]
    for at in range(1, made + 1):
        state = copied(template, scratch / "state")
        outbox = outbox_beside(state)
        outcome = victim.run("batch", state, f"{call}:error=ENOSPC:when={at}")
        assert (outcome.status, outcome.met) == (0, 1), f"{call} {at}"
        assert all(Taken(str(outbox / each)).finished for each in names_in(outbox)), f"{call} {at}"
        assert [place_of(each) is not None for each in names_in(outbox)] == [True, True], names_in(outbox)


def answers_beside(state: Path) -> None:
    """Write down what a hub answers for two sizes of a log."""
    answers = state.with_name("answers")
    shutil.rmtree(answers, ignore_errors=True)
    answers.mkdir()
    log = log_of(state)
    key = PrivateKey.from_pkcs8_pem((state / "keys" / "agent.pem").read_text())
    with EvidenceStore.read(str(state)) as reader:
        leaves = tree.split(reader.leaves(log))
    origin = "evidenced/" + log.replace("-", "/")
    for size in (2, 4):
        signed = note.sign(Checkpoint(origin, size, tree.root(leaves[:size])).text(), origin, key)
        line = note.cosign(signed.text, "hub.example", WITNESS, 1767225600)
        (answers / str(size)).write_bytes(signed.with_line(line).encode())


@pytest.mark.slow
@pytest.mark.needs_program("strace")
@pytest.mark.parametrize("call", WRITES)
def test_a_kill_at_any_call_leaves_receipts_that_hold(victim: Victim, template: Path, scratch: Path, call: str) -> None:
    answers_beside(copied(template, scratch / "state"))
    made = victim.counts("receipt", scratch / "state")[call]
    for at in range(1, made + 1):
        state = copied(template, scratch / "state")
        before = checkpoints(state)
        outcome = victim.run("receipt", state, f"{call}:signal=KILL:when={at}")
        assert outcome.status == KILLED, f"{call} {at}"
        judge(state, outcome.promised, before + checkpoints(state))
        assert victim.run("receipt", state).status == 0
        folder = state / "receipts" / log_of(state)
        assert sorted(os.listdir(folder)) == [f"000000000004{form}" for form in ("", ".sshsig", ".vkeys")]
        with EvidenceStore.read(str(state)) as reader:
            (log,) = reader.logs()
            said = reader.entry(log.id, log.size - 1).statement
        assert said is not None
        assert said.predicate.receipt is not None
        assert said.predicate.receipt.size == 4
