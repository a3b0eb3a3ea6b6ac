"""P18: the auditor's script over a pack of 10,000 entries; time and memory, against the figures it must keep.

Two packs: one of small statements, one in which each snapshot names 13 tables, as a host that is read by hand makes
them. The pack is forged, so that nothing but the script is measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from bench.figures import Line
from bench.pairs import run
from tests.evidence.verify import forge

ENTRIES = 10_000
MIB = 1024  # KiB
SCRIPT = Path(__file__).resolve().parent.parent / "evidence/verify.py"


def story(entries: int, tables: int) -> forge.Story:
    """Return a log of that many snapshots, ten minutes apart; one table changes with each."""
    found = forge.Story()
    log = found.log()
    log.opened()
    for number in range(entries - 1):
        when = forge.START + number * timedelta(minutes=10)
        changing = [{**forge.ROWS[0], "name": f"user-{number}"}, *forge.ROWS]
        steady = [log.table(f"table_{each:02d}", interval=1200) for each in range(tables - 1)]
        log.snapshot(when, log.table("users", rows=changing, interval=1200), *steady)
    found.until = forge.START + entries * timedelta(minutes=10)
    return found


def rows() -> list[Line]:
    """Return P18 for both packs; one that does not verify ends the benchmark."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for tables in (1, 13):
            path = os.path.join(folder, f"{tables}.tar.gz")
            # in a process of its own: what is measured would inherit the peak of the one that forged
            subprocess.run([sys.executable, "-m", "bench.verify", path, str(tables), str(ENTRIES)], check=True)
            cost = run([sys.executable, "-I", "-S", str(SCRIPT), path])
            if cost.code:
                raise SystemExit(f"bench: verify.py: expected a valid pack, found exit {cost.code}")
            job = f"verify.py, {ENTRIES:,} entries of {tables} table{'s' * (tables > 1)}"
            lines += [
                Line("P18", f"{job}: wall", f"{cost.wall_s:.2f} s", "-", "-", "10 s"),
                Line("P18", f"{job}: CPU", f"{cost.cpu_s:.2f} s", "-", "-", "10 s"),
                Line("P18", f"{job}: memory", f"{cost.memory_kib / MIB:.0f} MiB", "-", "-", "128 MiB"),
            ]
    return lines


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(forge.packed(story(int(sys.argv[3]), int(sys.argv[2])).tar()))
