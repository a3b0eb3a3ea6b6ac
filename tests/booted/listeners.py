"""Runs in the booted host: has everything read, and asks ss for sockets that listen for as long as the service works.

Prints which parts were seen at work, before and after one look of ss, and all lines that ss had.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

PARTS = ("_collect", "_upload")
LIMIT_S = 60.0
PAUSE_S = 0.02


def at_work() -> set[tuple[str, str]]:
    """Return the processes of the parts: (part, process)."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except OSError:  # it ended meanwhile
            continue
        found |= {(part, pid) for part in PARTS if part in words}
    return found


def main() -> int:
    """Look until each part was seen at work."""
    trigger = "systemctl kill --kill-who=main -s USR1 evidenced.service"
    subprocess.run(trigger.split(), check=True)
    seen: set[str] = set()
    listening: set[str] = set()
    until = time.monotonic() + LIMIT_S
    while seen != set(PARTS) and time.monotonic() < until:
        before = at_work()
        said = subprocess.run(["ss", "-Htuwlpn"], check=True, capture_output=True).stdout
        seen |= {part for part, _ in before & at_work()}
        listening |= set(said.decode().splitlines())
        time.sleep(PAUSE_S)
    sys.stdout.write(json.dumps({"seen": sorted(seen), "listening": sorted(listening)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
