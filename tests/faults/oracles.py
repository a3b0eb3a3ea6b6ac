"""The oracles O1 to O5: what must hold after every fault, whatever it was."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from evidence.reader import StoreReader
from hub import log_state
from hub.database import Database
from tests.evidence.faults.injection import leaves_of
from tests.faults.system import WITHIN_S, System, until
from tests.hub.running import ROOT, RunningHub

MENDED = frozenset({"damage", "log-opened", "pruned", "key-rotated"})
"""Events of the store that say that something was other than it was left."""
AGAIN_S = 8.0
RESIDENT_KIB = 17 << 10


def assert_kept(system: System) -> dict[str, list[bytes]]:
    """O1: each entry verifies and has its place, and all that was promised is among them. Returns leaves by origin."""
    leaves = leaves_of(system.state)  # signatures, places without a hole, roots, blobs
    for origin, sequence, leaf in system.promised:
        assert leaves[origin][sequence].hex() == leaf, (origin, sequence)
    return leaves


def assert_verifies(system: System, pack: Path, *, codes: Collection[int] = (0,)) -> None:
    """O1 as an auditor sees it: the pack of everything passes verify.py, which knows nothing of our code.

    3 is among `codes` where times are left in which, by the wall clock, nothing was read; and it says nothing else.
    """
    told = system.command("export", "--output", str(pack))
    assert told.returncode == 0, told.stderr
    checked = subprocess.run(
        [sys.executable, "-I", str(ROOT / "evidence/verify.py"), str(pack)], capture_output=True, text=True, check=False
    )
    assert checked.returncode in codes, checked.stdout + checked.stderr
    assert " entries intact" in checked.stdout
    amiss = [line for line in checked.stdout.splitlines() if line.startswith("✗")]
    assert all(line.startswith("✗ Incomplete period") or " not read " in line for line in amiss), amiss


def assert_runs_again(system: System, within_s: float = WITHIN_S) -> None:
    """O2: it signs again by itself in time, a stop is clean, and one more restart finds nothing to mend."""
    system.recorded(within_s)
    until(lambda: system.status().signed, within_s, "a reading that is signed")
    assert system.stop() == 0
    before, kinds = assert_kept(system), kinds_of(system.state)
    system.start()
    system.recorded(within_s)
    after = assert_kept(system)
    assert {origin: leaves[: len(before.get(origin, []))] for origin, leaves in after.items()} == before
    new = kinds_of(system.state) - kinds
    assert not MENDED & new.keys(), new


def assert_delivered(system: System, hub: RunningHub, within_s: float = 90, beside: Collection[str] = ()) -> None:
    """O3: once all is well, the hub has the leaves that the agent has, each once, and nothing waits.

    `beside`: logs that are not compared, since they are of others or the hub has more of them. What the schedule brings
    is delivered every quarter of an hour, and a change at once; so the schedule rests, and something changes.
    """

    def agrees() -> bool:
        there, here = (
            {key: leaves for key, leaves in of.items() if key not in beside}
            for of in (leaves_at(hub), leaves_of_agent(system))
        )
        return not batches(system) and there == here

    system.rest()
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        system.recorded()
        system.change()
        with contextlib.suppress(AssertionError):
            until(agrees, AGAIN_S)
            return
    counts = [{name: len(each) // 32 for name, each in of.items()} for of in (leaves_at(hub), leaves_of_agent(system))]
    progress = Path(system.places.upload, "sinks/hub.json").read_text()
    raise AssertionError(f"hub and agent have {counts}, {batches(system)} wait:\n{progress}\n{system.said()[-4000:]}")


def leaves_at(hub: RunningHub) -> dict[str, bytes]:
    """Return the leaves of each log that the hub has, by its own database."""
    database = Database(str(hub.data / "hub.sqlite"))
    try:
        found = {}
        for row in database.reading.execute("SELECT id FROM logs"):
            state = log_state.load(database, row["id"])
            assert state is not None
            found[row["id"]] = log_state.leaves(database, row["id"], 0, state.size)
        return found
    finally:
        database.close()


def batches(system: System) -> list[str]:
    """Return what waits in the outbox."""
    try:
        return sorted(os.listdir(system.places.outbox))
    except FileNotFoundError:
        return []


def kinds_of(state: Path) -> Counter[str]:
    """Return how many entries there are of each kind, over all logs."""
    with StoreReader(str(state)) as reader:
        return Counter(
            getattr(each.statement, "kind", "snapshot") for log in reader.logs() for each in reader.entries(log.id)
        )


def assert_bounded(system: System, *, kib: int = RESIDENT_KIB, threads: int = 1, descriptors: int = 40) -> None:
    """O4: the one process that stays is as small as it was, in memory, threads and descriptors."""
    (pid,) = system.pids("supervisor")
    fields = dict(re.findall(r"^(\w+):\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))
    assert int(fields["VmRSS"]) - int(fields["RssFile"]) <= kib
    assert int(fields["Threads"]) == threads
    assert len(os.listdir(f"/proc/{pid}/fd")) <= descriptors


def assert_recorded(system: System, kinds: Iterable[str]) -> None:
    """O4: what happened is in the log."""
    found = kinds_of(system.state)
    assert set(kinds) <= found.keys(), found


def leaves_of_agent(system: System) -> dict[str, bytes]:
    """Return the leaves of each log that the host has."""
    with StoreReader(str(system.state)) as reader:
        return {each.id: reader.leaves(each.id) for each in reader.logs()}
