"""Runs in the booted host: has everything read, and prints which capabilities each run has while it reads.

    capabilities.py TABLE…      until a run of each of these tables was seen

Prints for each table the sets that count for what a process may do, as proc_pid_status(5) has them, each once.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

LIMIT_S = 60.0
PAUSE_S = 0.005
SETS = re.compile(r"^Cap(?:Prm|Eff|Amb):\t0*([0-9a-f]+)$", re.MULTILINE)


def tables_of(pid: str) -> list[str]:
    """Return the tables that a process was started to read; none if it is no run."""
    with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
        words = file.read().split("\0")
    if "_collect" not in words or "--tables" not in words:
        return []
    return [each.partition("=")[0] for each in words[words.index("--tables") + 1].split(",")]


def main(wanted: list[str]) -> int:
    """Look until each table was seen."""
    trigger = "systemctl kill --kill-who=main -s USR1 evidenced.service"
    subprocess.run(trigger.split(), check=True)
    seen: dict[str, set[str]] = {}
    until = time.monotonic() + LIMIT_S
    while not set(wanted) <= seen.keys() and time.monotonic() < until:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
                    sets = set(SETS.findall(file.read()))
                tables = tables_of(pid)
            except OSError:  # it ended meanwhile
                continue
            for each in tables:
                seen.setdefault(each, set()).update(sets)
        time.sleep(PAUSE_S)
    sys.stdout.write(json.dumps({each: sorted(seen.get(each, ())) for each in wanted}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
