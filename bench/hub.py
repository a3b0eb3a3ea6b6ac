"""A thousand agents against one reference hub on this machine, as `bench.hub_load` makes them."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from bench.figures import Line
from bench.hub_load import run

AGENTS = 1000
BATCHES = 5


def rows(agents: int = AGENTS, batches: int = BATCHES) -> list[Line]:
    """Return how many batches a second, how long each waited, what the hub cost, and what was lost."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        load = run(agents, batches, Path(folder))
    cuts = statistics.quantiles(load.waits, n=100)
    job = f"{agents:,} agents, {load.batches:,} batches"
    return [
        Line("-", f"{job} to one hub: batches a second", f"{load.batches / load.seconds:.0f}", "-", "-", "-"),
        Line("-", "the same: wait for the signature, p99", f"{cuts[98] * 1000:.0f} ms", "-", "-", "-"),
        Line("-", "the same: CPU a batch", f"{load.cpu / load.batches * 1000:.1f} ms", "-", "-", "-"),
        Line("-", "the same: memory of the hub", f"{load.peak_kib / 1024:.0f} MiB", "-", "-", "-"),
        Line("-", "the same: entries lost", str(load.lost), "-", "-", "0"),
    ]
