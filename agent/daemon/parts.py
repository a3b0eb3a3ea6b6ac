"""Where there is no systemd: sockets of our own for signer and uploader, which are started when somebody connects."""

from __future__ import annotations

import contextlib
import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.daemon.children import Child
    from agent.daemon.rights import User

BACKLOG = 128
RETRY_S = 1.0
RETRY_LIMIT_S = 60.0
LIVED_S = 5.0
"""A part that ended well, or lived so long, is started again at once."""


class Part:
    """Signer or uploader: its socket, who it runs as, and the process if there is one."""

    def __init__(self, name: str, command: str, user: User | None) -> None:
        self.name = name
        self.command = command
        self.user = user
        self.socket: socket.socket | None = None
        """None under systemd, which listens itself."""
        self.path = ""
        self.child: Child | None = None
        self.restarts = 0
        self.not_before = 0.0
        self.wanted = False
        """Whether it is to be started without anybody connecting."""

    def listen(self, folder: str, *, owner: tuple[int, int] | None) -> None:
        """Listen at a path that nobody else listens at. Raises: OSError."""
        self.path = os.path.join(folder, f"{self.name}.sock")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self.socket.bind(self.path)
        finally:
            os.umask(before)
        if owner is not None:
            os.chown(self.path, *owner)
            os.chmod(self.path, 0o660)
        self.socket.listen(BACKLOG)

    def close(self) -> None:
        """Listen no longer, and take the socket away."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)

    def started(self, child: Child) -> None:
        """Note that it runs."""
        self.child, self.wanted = child, False

    def ended(self, code: int, now: float) -> None:
        """Note that it ended; one that broke off waits, longer each time."""
        lived = self.child is not None and now - self.child.began >= LIVED_S
        self.child = None
        if code in (0, LATER) or lived:
            self.restarts, self.not_before = 0, now
        else:
            self.not_before = now + min(RETRY_S * 2.0 ** min(self.restarts, 20), RETRY_LIMIT_S)
            self.restarts += 1


LATER = 75
"""EX_TEMPFAIL, sysexits.h: how a part says that it is to be tried later."""


def answers(path: str) -> bool:
    """Return whether somebody listens at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as one:
        try:
            one.connect(path)
        except BlockingIOError:  # its backlog is full
            return True
        except OSError:
            return False
    return True
