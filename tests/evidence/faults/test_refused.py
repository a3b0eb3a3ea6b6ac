"""S2 and S10: the kernel refuses one call, whichever it is; what was not promised may be tried again, and is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence.log import EvidenceStore
from evidence.predicates import Event
from evidence.reserve import SIZE_BYTES
from tests.evidence.faults.injection import OTHERS, WRITES, Victim, checkpoints, copied, judge

EVERYWHERE = [(each, "append", "EIO") for each in (*WRITES, *OTHERS)]
FULL = [(each, "append", "ENOSPC") for each in (*WRITES, "openat")]
"""What takes no room, reading and closing, cannot meet a full disk."""
WHERE_IT_IS_WRITTEN = [
    (each, "append", error) for each in WRITES if each != "pwrite64" for error in ("EDQUOT", "EROFS", "EINTR")
]
LONGER_WAYS = [(each, action, "EIO") for each in WRITES if each != "pwrite64" for action in ("rotate", "prune")]
NO_DESCRIPTOR_OR_MEMORY = [("openat", "append", "EMFILE"), ("mkdirat", "append", "ENOMEM")]


@pytest.mark.slow
@pytest.mark.needs_program("strace")
@pytest.mark.parametrize(
    ("call", "action", "error"), EVERYWHERE + FULL + WHERE_IT_IS_WRITTEN + LONGER_WAYS + NO_DESCRIPTOR_OR_MEMORY
)
def test_a_call_that_fails_once_is_survived_without_a_restart_and_breaks_no_promise(
    victim: Victim, template: Path, scratch: Path, call: str, action: str, error: str
) -> None:
    made = victim.counts(action, copied(template, scratch / "state"))[call]
    for at in range(1, made + 1):
        state = copied(template, scratch / "state")
        before = checkpoints(state)
        outcome = victim.run(action, state, f"{call}:error={error}:when={at}")
        assert outcome.status == 0, f"{call} {at}"
        assert outcome.met == 1, f"{call} {at}"
        assert outcome.promised, f"{call} {at}"
        judge(state, outcome.promised, before + checkpoints(state))


@pytest.mark.slow
@pytest.mark.needs_program("strace")
@pytest.mark.parametrize("call", ["fsync", "write", "renameat"])
@pytest.mark.parametrize("first", [1, 4, 8])
def test_a_disk_that_fails_from_some_call_on_promises_nothing_and_loses_nothing(
    victim: Victim, template: Path, scratch: Path, call: str, first: int
) -> None:
    state = copied(template, scratch / "state")
    before = checkpoints(state)
    outcome = victim.run("append", state, f"{call}:error=EIO:when={first}+")
    if outcome.met:
        assert outcome.refused
        assert not outcome.promised
    judge(state, outcome.promised, before + checkpoints(state))


@pytest.mark.parametrize("limit", [0, 1, 100, 1000, 3000, 4000, 5000, 6000, 20_000])
def test_real_short_writes_are_not_taken_for_whole_ones(
    victim: Victim, template: Path, scratch: Path, limit: int
) -> None:
    state = copied(template, scratch / "state")
    before = checkpoints(state)
    outcome = victim.run("append", state, file_size=limit)
    assert outcome.status == 0
    judge(state, outcome.promised, before + checkpoints(state))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a file system of 640 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=640k,mode=0700", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.needs_root
def test_a_disk_that_is_really_full_is_survived_and_recorded(victim: Victim, small_disk: Path) -> None:
    state, promised, outcome = small_disk / "state", [], None
    while outcome is None or outcome.status == 0:
        outcome = victim.run("append", state)
        promised += outcome.promised
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    judge(state, promised, checkpoints(state))
    with EvidenceStore.read(str(state)) as reader:
        said = [each.statement for each in reader.entries(reader.logs()[0].id)]
    events = [each.predicate.event for each in said if isinstance(each, Event)]
    assert [each["kind"] for each in events][:2] == ["log-opened", "disk-full"]
    gaps = [each for each in events if each["kind"] == "gap"]
    assert all(each["absence"]["reason"] == "disk-full" and each["failures"] > 0 for each in gaps)
    assert gaps
    assert (state / "reserve").stat().st_size == SIZE_BYTES
