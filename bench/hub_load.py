"""Agents against one hub on loopback: batches a second, how long each waits, what the hub costs, what is lost.

    python -m bench.hub_load --agents 1000 --batches 5

Keys, statements, blobs and batches are real and are made beforehand; the clock runs while they are delivered.
Afterwards the leaves in the hub's store are compared with the agents', each once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from evidence import tree
from tests.hub.agents import Agent, BatchFile
from tests.hub.running import RunningHub

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Load:
    """What one run came to."""

    agents: int
    batches: int
    size: int
    """Bytes of all batches."""
    seconds: float = 0.0
    cpu: float = 0.0
    """Seconds of the hub's process."""
    peak_kib: int = 0
    waits: list[float] = field(default_factory=list)
    retries: int = 0
    lost: int = 0

    def lines(self) -> list[str]:
        """Return the result for people."""
        cuts = statistics.quantiles(self.waits, n=100)
        return [
            f"agents {self.agents}, batches {self.batches}, {self.size / self.batches / 1024:.1f} KiB each",
            f"batches/s  {self.batches / self.seconds:.0f}",
            f"wait       p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms",
            f"hub        {self.cpu:.1f} CPU-s, {self.cpu / self.batches * 1000:.2f} ms a batch",
            f"memory     {self.peak_kib // 1024} MiB",
            f"retries    {self.retries}",
            f"lost       {self.lost}",
        ]


def made(count: int, batches: int, folder: Path) -> list[tuple[Agent, list[BatchFile]]]:
    """Return agents with their batches: first all tables, then what changed."""
    work = []
    for seed in range(1, count + 1):
        agent, found, first = Agent(seed), [], 0
        for at in range(batches):
            agent.append(2, rows=seed * 100 + at)
            size = len(agent.log.leaves)
            found.append(agent.batch(folder, first, size))
            first = size
        work.append((agent, found))
    return work


async def deliver(port: int, batches: Sequence[BatchFile], gate: asyncio.Semaphore, load: Load) -> None:
    """Deliver the batches of one agent, one after the other, over a connection for each, as uploaders do."""
    for batch in batches:
        async with gate:  # as many connections at once as descriptors allow
            while not await one(port, batch, load):
                load.retries += 1
                await asyncio.sleep(0.05)


async def one(port: int, batch: BatchFile, load: Load) -> bool:
    """Send one batch and return whether it was acknowledged."""
    begun = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{name}: {value}\r\n" for name, value in batch.headers(complete=True).items()]
    head = f"POST /v1/batches HTTP/1.1\r\nHost: hub\r\nContent-Length: {len(batch.data)}\r\nConnection: close\r\n"
    writer.write(head.encode() + "".join(lines).encode() + b"\r\n" + batch.data)
    answer = await reader.read(65536)
    writer.close()
    if not answer.startswith(b"HTTP/1.1 200 "):
        return False
    load.waits.append(time.monotonic() - begun)
    return True


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process; proc(5), stat, fields 14 and 15."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_kib(pid: int) -> int:
    """Return the largest resident memory of a process; proc(5), status, VmHWM."""
    text = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(text.partition("VmHWM:")[2].split()[0])


def lost(data: Path, work: Sequence[tuple[Agent, list[BatchFile]]]) -> int:
    """Return how many entries of the agents are not in the hub's store, each once and in its place."""
    missing = 0
    query = "SELECT leaves FROM pieces JOIN logs ON logs.number = pieces.log WHERE logs.id = ? ORDER BY first"
    with closing(sqlite3.connect(data / "hub.sqlite")) as connection:
        for agent, _ in work:
            found = [leaf for (each,) in connection.execute(query, (agent.log.id,)) for leaf in tree.split(each)]
            expected = agent.log.leaves
            missing += sum(a != b for a, b in zip(expected, found)) + abs(len(expected) - len(found))  # noqa: B905
    return missing


def run(agents: int, batches: int, folder: Path, at_once: int = 200) -> Load:
    """Run the load against a hub of its own and return what it came to."""
    work = made(agents, batches, folder)
    hub = RunningHub(folder / "data", "--per-peer", "4000", "--at-once", "4000").start()
    try:
        for agent, _ in work:
            if hub.enrol(agent).status not in (200, 201):
                raise RuntimeError("expected every agent to be enrolled")
        sizes = [len(each.data) for _, found in work for each in found]
        load = Load(agents, agents * batches, sum(sizes))
        before, begun = cpu_seconds(hub.pid), time.monotonic()

        async def all_of_them() -> None:
            gate = asyncio.Semaphore(at_once)
            await asyncio.gather(*(deliver(hub.port, found, gate, load) for _, found in work))

        asyncio.run(all_of_them())
        load.seconds = time.monotonic() - begun
        load.cpu, load.peak_kib = cpu_seconds(hub.pid) - before, peak_kib(hub.pid)
    finally:
        hub.stop()
    load.lost = lost(hub.data, work)
    return load


def main(arguments: Sequence[str]) -> int:
    """Run it and print the result; 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m bench.hub_load", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--batches", type=int, default=5, help="of each agent")
    parser.add_argument("--at-once", type=int, default=200, help="connections")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="hub-load-", dir=os.environ.get("TMPDIR")))
    try:
        load = run(options.agents, options.batches, folder, options.at_once)
    finally:
        shutil.rmtree(folder)
    print("\n".join(load.lines()))
    return 1 if load.lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
