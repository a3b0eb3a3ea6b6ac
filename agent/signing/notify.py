"""What systemd is told while the signer runs: ready, alive, stopping. Source: sd_notify(3), sd_watchdog_enabled(3)."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping


class Notifier:
    """Sends to NOTIFY_SOCKET if there is one; a manager that does not listen is no reason to stop."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        self.tick_s = _tick(environment)
        """How often `alive` is to be called, None if nobody asked for it."""

    def ready(self) -> None:
        """Say that requests are taken."""
        self._send("READY=1")

    def alive(self) -> None:
        """Say that we are not stuck."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that we end."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)  # noqa: FBT003  it takes no keyword
            sender.sendto(text.encode(), address)


def _tick(environment: MutableMapping[str, str]) -> float | None:
    """Return half of the watchdog's time, as sd_watchdog_enabled(3) advises."""
    microseconds, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or pid not in ("", str(os.getpid())):
        return None
    return max(0.1, int(microseconds) / 2_000_000)
