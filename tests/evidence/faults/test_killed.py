"""S1: the process is killed at every call of the commit path, and no promise is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evidence.faults.injection import WRITES, Victim, checkpoints, copied, judge

CASES = [*((each, action) for action in ("append", "rotate", "prune") for each in WRITES)]
OPENING = [(each, "append") for each in ("openat", "flock")]
"""A kill in what changes nothing on disk leaves what a kill in the next change leaves; openat makes files too."""
KILLED = -9


@pytest.mark.slow
@pytest.mark.needs_program("strace")
@pytest.mark.parametrize(("call", "action"), CASES + OPENING)
def test_a_kill_at_any_call_loses_nothing_that_was_promised(
    victim: Victim, template: Path, scratch: Path, call: str, action: str
) -> None:
    made = victim.counts(action, copied(template, scratch / "state"))[call]
    for at in range(1, made + 1):
        state = copied(template, scratch / "state")
        before = checkpoints(state)
        outcome = victim.run(action, state, f"{call}:signal=KILL:when={at}")
        assert outcome.status == KILLED, f"{call} {at}"
        judge(state, outcome.promised, before + checkpoints(state))


@pytest.mark.slow
@pytest.mark.needs_program("strace")
@pytest.mark.parametrize("call", WRITES)
def test_a_kill_at_any_call_of_the_first_start_leaves_a_state_that_starts(
    victim: Victim, scratch: Path, call: str
) -> None:
    (scratch / "counted").mkdir()
    made = victim.counts("append", scratch / "counted" / "state")[call]
    for at in range(1, made + 1):
        state = scratch / str(at) / "state"
        state.parent.mkdir()
        outcome = victim.run("append", state, f"{call}:signal=KILL:when={at}")
        assert outcome.status == KILLED, f"{call} {at}"
        judge(state, outcome.promised, checkpoints(state) if state.exists() else [])
