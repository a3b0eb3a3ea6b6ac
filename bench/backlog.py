"""How a hub on loopback gets the backlog of 90 days: time, batches, memory, and nothing lost.

The log is made beforehand: a snapshot of 13 tables each hour, in which one table has changed, and a sign of life.
Then `evidenced ship --once` is run at the default rate until nothing waits.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from bench.commit import SEEN, TABLES, collected, made_rows
from bench.figures import Line
from bench.installed import installed
from bench.pairs import Cost, run
from bench.service import Service
from evidence.log import EvidenceStore
from evidence.predicates import Clock
from tests.hub.running import TOKEN, RunningHub

DAYS = 90
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
MIB = 1 << 20
MOST_ATTEMPTS = 200


def rows(days: int = DAYS) -> list[Line]:
    """Return what it took; a hub that lacks an entry afterwards ends the benchmark."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # thousands of commits wait for a disk for minutes
    with tempfile.TemporaryDirectory(prefix="bench-", dir=memory) as folder:
        service = Service(installed(f"{folder}/root"), Path(folder))
        token = Path(folder) / "token"
        token.touch(0o600)
        token.write_text(TOKEN)
        # in a process of its own: what is measured would inherit the peak of the one that made it
        done = subprocess.run(
            [sys.executable, "-m", "bench.backlog", str(service.state), str(days)], check=True, capture_output=True
        )
        size = int(done.stdout)
        hub = RunningHub(Path(folder) / "hub").start()
        try:
            service.ask("enroll", "--hub", f"http://127.0.0.1:{hub.port}", "--token-file", str(token))
            costs = _shipped(service)
            answer = hub.ask("GET", f"/v1/logs/{service.log_id()}/checkpoint")
        finally:
            hub.stop()
        there = int(answer.body.split(b"\n")[1])
        if there < size:
            raise SystemExit(f"bench: backlog: expected {size} entries at the hub, found {there}")
    seconds, cpu_s = sum(each.wall_s for each in costs), sum(each.cpu_s for each in costs)
    job = f"backlog of {days} days ({there:,} entries) to a hub"
    return [
        Line("-", f"{job}: wall", f"{seconds:.1f} s", "-", "-", "-"),
        Line("-", "the same: CPU of signer and uploader", f"{cpu_s:.1f} s", "-", "-", "-"),
        Line("-", "the same: memory", f"{max(each.memory_kib for each in costs) / 1024:.0f} MiB", "-", "-", "64 MiB"),
        Line("-", "the same: entries lost", f"{max(size - there, 0)}", "-", "-", "0"),
    ]


def make(state: Path, days: int) -> int:
    """Write a log of so many days, and return its size."""
    now = START

    def clock() -> Clock:
        wall = now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return Clock(wall=wall, boottime_ms=int((now - START).total_seconds() * 1000), boot_id="b", synchronised=True)

    tables = [made_rows(at, 0) for at in range(TABLES)]
    with EvidenceStore.open(str(state), machine=None, clock=clock) as store:
        for hour in range(days * 24):
            now = START + timedelta(hours=hour)
            tables[hour % TABLES] = made_rows(hour % TABLES, hour + 1)[: hour % 40]
            store.append_snapshot([collected(at, found) for at, found in enumerate(tables)], SEEN)
            store.append_event("heartbeat", {}, {}, SEEN)
        return store.append_event("heartbeat", {}, {}, SEEN).sequence + 1


def _shipped(service: Service) -> list[Cost]:
    """Return what each attempt cost, until nothing waits."""
    costs: list[Cost] = []
    while not costs or costs[-1].code:
        costs.append(run(service.words("ship", "--once")))
        if len(costs) > MOST_ATTEMPTS:
            raise SystemExit(f"bench: evidenced ship: expected exit 0 in {MOST_ATTEMPTS} attempts, found none")
    return costs


if __name__ == "__main__":
    print(make(Path(sys.argv[1]), int(sys.argv[2])))
