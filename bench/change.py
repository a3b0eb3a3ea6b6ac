"""How long a change takes: from the write of a file in sudoers.d to the signed entry, and to a hub's signature over it.

The file is written in the agent's own copy of /etc (bench.apart), so this machine's is not touched; it needs root.
The hub is the reference hub on the loopback. Deliveries are not put off at random as they are by default.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from bench.apart import own
from bench.figures import Line
from bench.installed import installed
from bench.service import Service
from tests.hub.running import TOKEN, RunningHub

TIMES = 7
WAIT_S = 60
POLL_S = 0.005
REST_S = 6
"""Between two changes: no table is read again sooner than after five seconds."""
GOAL_S = 5
CONFIGURATION = '[schedule]\njitter = "0s"\n[upload]\njitter = "0s"\n'


def rows(times: int = TIMES) -> list[Line]:
    """Return how long it took, as medians and at worst."""
    if os.geteuid() != 0:
        raise SystemExit("bench: change: expected root, found another user")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        hub = RunningHub(Path(folder) / "hub").start()
        try:
            found = _measured(Path(folder), hub, times)
        finally:
            hub.stop()
    lines = []
    goals = (("signed", f"{GOAL_S} s"), ("acknowledged by a hub on loopback", "-"))
    for (what, goal), took in zip(goals, zip(*found, strict=True), strict=True):
        job = f"change of sudoers.d to entry {what}: median of {times}"
        lines.append(Line("-", job, f"{statistics.median(took):.2f} s", "-", "-", goal))
        lines.append(Line("-", "the same, worst", f"{max(took):.2f} s", "-", "-", goal))
    return lines


def _measured(folder: Path, hub: RunningHub, times: int) -> list[tuple[float, float]]:
    """Return seconds to the signed entry and to the acknowledged one, for each change."""
    service = Service(installed(f"{folder}/root"), folder, CONFIGURATION)
    token = folder / "token"
    token.touch(0o600)
    token.write_text(TOKEN)
    service.ask("enroll", "--hub", f"http://127.0.0.1:{hub.port}", "--token-file", str(token))
    found = []
    with service:
        service.wait_for("a first snapshot", lambda: service.size() > 1)
        service.wait_for("everything acknowledged", lambda: _acknowledged(hub, service) >= service.size())
        for number in range(times):
            time.sleep(REST_S)
            found.append(_one(service, hub, own(folder, "/etc/sudoers.d/evidenced-bench"), number))
    return found


def _one(service: Service, hub: RunningHub, path: Path, number: int) -> tuple[float, float]:
    before = service.size()
    path.write_text(f"# {number}\n")
    path.chmod(0o440)
    began = time.monotonic()
    service.wait_for("an entry", lambda: service.size() > before, WAIT_S, POLL_S)
    signed = time.monotonic()
    service.wait_for("its acknowledgement", lambda: _acknowledged(hub, service) > before, WAIT_S, POLL_S)
    return signed - began, time.monotonic() - began


def _acknowledged(hub: RunningHub, service: Service) -> int:
    """Return the size of the log that the hub has signed."""
    answer = hub.ask("GET", f"/v1/logs/{service.log_id()}/checkpoint")
    return int(answer.body.split(b"\n")[1]) if answer.status == 200 else 0  # noqa: PLR2004  200 OK, RFC 9110
