"""P18: the auditor's script over a pack of 10,000 entries; time and memory, against the figures it must keep.

    python bench/verify.py [--entries N] [--python PATH]

Two packs: one of small statements, one in which each snapshot names 13 tables, as a host that is read by hand makes
them. The pack is forged, so that nothing but the script is measured.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.evidence.verify import forge  # noqa: E402  after the path is set

LIMIT_S, LIMIT_KIB = 10.0, 128 * 1024
SCRIPT = ROOT / "evidence" / "verify.py"


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


def measured(python: str, path: str) -> tuple[float, float, int, str]:
    """Return (wall seconds, CPU seconds, peak KiB, first lines) of one run in a process of its own."""
    started = time.monotonic()
    command = [python, "-I", "-S", str(SCRIPT), path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        out = process.stdout.read() if process.stdout else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    cpu = usage.ru_utime + usage.ru_stime
    if process.returncode:
        raise SystemExit(f"expected a valid pack, found exit {process.returncode}: {out[:500]!r}")
    return wall, cpu, usage.ru_maxrss, out.decode().split("\n")[1]


def main() -> int:
    """Forge, measure, print a row for each pack; exit 1 if a figure is missed."""
    parser = argparse.ArgumentParser(description="P18: verify.py over many entries")
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--python", default=sys.executable)
    given = parser.parse_args()
    missed = False
    print("| pack | MiB | wall s | CPU s | peak MiB | limit |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for tables in (1, 13):
            path = os.path.join(folder, f"{tables}.tar.gz")
            Path(path).write_bytes(forge.packed(story(given.entries, tables).tar()))
            wall, cpu, peak, line = measured(given.python, path)
            missed = missed or wall > LIMIT_S or peak > LIMIT_KIB
            size = os.path.getsize(path) / 2**20
            name = f"{line.split(' ')[2]} entries of {tables} tables"
            print(f"| {name} | {size:.1f} | {wall:.2f} | {cpu:.2f} | {peak / 1024:.0f} | 10 s, 128 MiB |")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
