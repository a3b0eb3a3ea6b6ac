"""Telling systemd how we are: sd_notify(3), a datagram to the socket that it names."""

from __future__ import annotations

import contextlib
import os
import socket


class Notify:
    """Nothing at all where nobody listens."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
        ours = pid in ("", str(os.getpid()))
        given = bool(self._address) and ours and usec.isascii() and usec.isdigit() and len(usec) < 16  # noqa: PLR2004
        self.every_s = int(usec) / 1e6 / 3 if given and int(usec) > 0 else float("inf")
        """How often systemd wants to hear that we live: three times in the time it waits."""

    def tell(self, text: str) -> None:
        """Send lines such as READY=1."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(text.encode(), address)
