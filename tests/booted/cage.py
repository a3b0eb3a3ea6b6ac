"""Units with something else in them: the probe in a copy of a unit that is as it is installed otherwise; a drop-in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.booted.host import SEEN_AT, BootedHost

INSTALLED = "/usr/lib/systemd/system"
PROBE = ("/usr/bin/python3", "-IB", f"{SEEN_AT}/probe.py")
OUTPUT = "/run/caged.json"
FILE_READER = "CAP_DAC_READ_SEARCH"
"""What a child that reads files has; the supervisor and the child that reads processes have one more."""

INSTEAD = """
[Unit]
RefuseManualStart=no
[Service]
Type=oneshot
NotifyAccess=none
ExecStart=
ExecStart={program}
ExecReload=
Restart=no
WatchdogSec=0
RuntimeMaxSec=infinity
StandardOutput=truncate:{output}
StandardError=journal
"""


def caged(
    host: BootedHost, unit: str, *program: str, capabilities: str | None = None, settings: Sequence[str] = ()
) -> str:
    """Run a program as a unit's own and return what it printed.

    `capabilities` are less than the unit's, if given; `settings` are lines that stand in place of the unit's.
    """
    host.ok("cp", f"{INSTALLED}/{unit}.service", "/run/systemd/system/caged.service")
    instead = INSTEAD.format(program=" ".join(program), output=OUTPUT)
    if capabilities is not None:
        instead += f"AmbientCapabilities=\nAmbientCapabilities={capabilities}\n"
    instead += "".join(f"{each}\n" for each in settings)
    host.write("/run/systemd/system/caged.service.d/instead.conf", instead)
    host.ok("systemctl", "daemon-reload")
    started = host.run("systemctl", "start", "caged.service", timeout_s=120)
    assert started.code == 0, f"{started.err}\n{host.journal()}"
    return host.ok("cat", OUTPUT)


def tried(
    host: BootedHost, unit: str, *words: str, capabilities: str | None = None, settings: Sequence[str] = ()
) -> dict[str, str]:
    """Return how each try of the probe ended in a unit's cage."""
    printed = caged(host, unit, *PROBE, *words, capabilities=capabilities, settings=settings)
    found: dict[str, str] = json.loads(printed)
    return found


def tried_by_root(host: BootedHost, *words: str) -> dict[str, str]:
    """Return how each try ended for root outside of any cage: what is refused inside must be possible here."""
    found: dict[str, str] = json.loads(host.ok(*PROBE, *words))
    return found


@contextmanager
def drop_in(host: BootedHost, unit: str, text: str) -> Iterator[None]:
    """Have a unit with other settings for a while; it is restarted before and after."""
    path = f"/run/systemd/system/{unit}.d/test.conf"
    host.write(path, text)
    host.ok("systemctl", "daemon-reload")
    host.ok("systemctl", "restart", unit)
    try:
        yield
    finally:
        host.ok("rm", path)
        host.ok("systemctl", "daemon-reload")
        host.ok("systemctl", "restart", unit)
