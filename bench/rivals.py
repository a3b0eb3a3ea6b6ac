"""Daemons that ours is put beside: samhain, which also watches files, and node_exporter, which also runs everywhere.

Each as a plain process with as little to do as its kind allows: samhain looks at one file a minute and at SUID files
not at all, node_exporter listens on the loopback and nobody asks it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench import processes

SBIN = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
INIT_S = 60
STOP_S = 10
SAMHAIN = """\
[ReadOnly]
file = /etc/passwd
[SuidCheck]
SuidCheckActive = no
[Log]
LogSeverity = warn
SyslogSeverity = none
PrintSeverity = none
MailSeverity = none
[Misc]
Daemon = no
SetLoopTime = 60
"""
# Debian compiled its paths in: what it reads and writes there is put over them, for it alone.
_SAMHAIN = """\
mount --bind "$1" /etc/samhain/samhainrc && mount -t tmpfs none /var/lib/samhain &&
mount -t tmpfs none /var/log/samhain && mkdir -p /run/samhain && mount -t tmpfs none /run/samhain &&
samhain -t init -p none &&
exec samhain -t check --foreground --forever -p none"""


@contextlib.contextmanager
def node_exporter(folder: Path) -> Iterator[int]:
    """Run it, and give its process id."""
    program = shutil.which("prometheus-node-exporter", path=SBIN) or ""
    with _running([program, "--web.listen-address=127.0.0.1:0"], folder) as process:
        yield process.pid


@contextlib.contextmanager
def samhain(folder: Path) -> Iterator[int]:
    """Run it until it watches, and give its process id."""
    (folder / "samhainrc").write_text(SAMHAIN)
    command = ["unshare", "--mount", "sh", "-c", _SAMHAIN, "sh", str(folder / "samhainrc")]
    with _running(command, folder) as process:
        until = time.monotonic() + INIT_S
        while "check" not in Path(f"/proc/{process.pid}/cmdline").read_text() and time.monotonic() < until:
            time.sleep(0.1)
        yield process.pid


ALL = {"samhain": samhain, "prometheus-node-exporter": node_exporter}


def can_run(name: str) -> bool:
    """Return whether it is here; samhain is root's."""
    return shutil.which(name, path=SBIN) is not None and (name != "samhain" or os.geteuid() == 0)


@contextlib.contextmanager
def _running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "rival.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        for pid in reversed(processes.tree(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 15)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
