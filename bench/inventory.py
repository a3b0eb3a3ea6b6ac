"""The whole inventory of this machine, first and second run; P13, what each table held at its peak; and --help.

There is no public tool that answers the same questions, so these are figures, not ratios. Run as root to see all;
what tests and people left in their folders is not looked at then (bench.apart).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.apart import apart
from bench.figures import Line
from bench.installed import installed
from bench.pairs import Cost, run

HELP_RUNS = 9
MIB = 1024  # KiB


def rows() -> list[Line]:
    """Return the figures; a run that fails ends the benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        program = installed(f"{folder}/root")
        state = str(Path(folder) / "state")
        words = [*apart(Path(folder)), *program, "inventory", "--state", state]
        first, second = (_checked(words) for _ in range(2))
        tables = _tables([*program, "log", "show", "2", "--json", "--state", state])
        seconds = statistics.median(_checked([*program, "--help"]).wall_s for _ in range(HELP_RUNS))
    largest = max(tables, key=lambda name: tables[name])
    return [
        Line("-", "evidenced --help: wall", f"{seconds * 1000:.0f} ms", "-", "-", "150 ms"),
        Line("-", "whole inventory, signed, first run: CPU", f"{first.cpu_s:.2f} s", "-", "-", "-"),
        Line("-", "whole inventory, signed, first run: wall", f"{first.wall_s:.2f} s", "-", "-", "-"),
        Line("P19", "whole inventory, signed, second run: CPU", f"{second.cpu_s:.2f} s", "-", "-", "3 s"),
        Line("-", "whole inventory, signed, second run: wall", f"{second.wall_s:.2f} s", "-", "-", "-"),
        Line("P13", f"largest table at its peak ({largest})", f"{tables[largest] / MIB:.0f} MiB", "-", "-", "64 MiB"),
    ]


def _checked(words: Sequence[str]) -> Cost:
    cost = run(words)
    if cost.code:
        raise SystemExit(f"bench: evidenced: expected exit 0, found {cost.code}: {' '.join(words[-4:])}")
    return cost


def _tables(words: Sequence[str]) -> dict[str, int]:
    """Return the peak memory of each table in KiB, as the signed entry says."""
    done = subprocess.run(words, check=True, capture_output=True)
    return {each["name"]: each["cost"]["peak_kib"] for each in json.loads(done.stdout)["predicate"]["tables"]}
