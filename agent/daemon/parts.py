"""Signer and uploader: systemd starts them by their sockets; where there is none, we listen and start them."""

from __future__ import annotations

import contextlib
import os
import socket
import sys

from agent.daemon.children import Child, Order
from agent.daemon.family import Family
from agent.daemon.saying import say
from agent.daemon.schedule import NEVER
from agent.daemon.settings import Settings
from agent.daemon.waiting import Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.daemon.rights import User

LATER = 75
"""EX_TEMPFAIL, sysexits.h: how a part says that it is to be tried later."""
SIGN, UPLOAD = "sign", "upload"
BACKLOG = 128
RETRY_S = 1.0
RETRY_LIMIT_S = 60.0
LIVED_S = 5.0
"""A part that lived so long is started again at once, however it ended."""
LIMIT_S = {SIGN: float("inf"), UPLOAD: 6 * 3600.0}
"""The signer ends when it is idle; an attempt to deliver has an end."""
KILLED_S = 5.0
"""When delivery is tried again after an attempt that broke off, at the earliest."""
AGAIN_S = 900.0
"""When delivery is tried again if nobody says when."""
AGAIN_LIMIT_S = 3600.0
_WAIT_DIGITS = 8
_CREDENTIALS_BYTES, _PID_BYTES = 12, 4  # struct ucred: pid, uid, gid


class Part:
    """One of the two where we listen for it: its socket, its user, and the process if there is one."""

    def __init__(self, name: str, user: User | None) -> None:
        self.name = name
        self.user = user
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.path = ""
        self.child: Child | None = None
        self.failures = 0
        self.broke_off_at = NEVER
        self.not_before = 0.0

    def listen(self, folder: str, owner: tuple[int, int] | None) -> None:
        """Listen at a path; what was left behind there goes: whoever has the lock is alone. Raises: OSError."""
        self.path = os.path.join(folder, f"{self.name}.sock")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        at = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        before = os.umask(0o177)
        try:
            self.socket.bind(f"/proc/self/fd/{at}/{self.name}.sock")  # a path may be longer than an address
        finally:
            os.umask(before)
            os.close(at)
        if owner is not None:
            os.chown(self.path, *owner)
            os.chmod(self.path, 0o660)
        self.socket.listen(BACKLOG)

    def close(self) -> None:
        """Listen no longer, and take the socket away."""
        self.socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def ended(self, code: int, now: float) -> None:
        """Note that the process ended; one that broke off waits, longer each time."""
        lived = self.child is not None and now - self.child.began >= LIVED_S
        self.child = None
        if code in (0, LATER) or lived:
            self.failures, self.not_before, self.broke_off_at = 0, now, NEVER
        else:
            self.broke_off_at = now
            self.not_before = now + min(RETRY_S * 2.0 ** min(self.failures, 20), RETRY_LIMIT_S)
            self.failures += 1


class Parts:
    """Both, and when something is to be delivered."""

    def __init__(self, settings: Settings, family: Family, waiting: Waiting) -> None:
        self.under_systemd = answers(os.path.join(settings.run, f"{SIGN}.sock"), made_by=os.getppid())
        self.members: list[Part] = []
        self.deliver_at = NEVER
        self._settings = settings
        self._family = family
        self._waiting = waiting

    @property
    def separate(self) -> bool:
        """Return whether the parts run as users of their own."""
        return self.under_systemd or bool(self._settings.users)

    def listen(self) -> None:
        """Listen where systemd does not. Raises: OSError."""
        for name in () if self.under_systemd else (SIGN, UPLOAD):
            part = Part(name, self._settings.users.get(name))
            part.listen(self._settings.run, self._owner(name))
            self.members.append(part)

    def _owner(self, name: str) -> tuple[int, int] | None:
        """Return whose a socket is: its callers'. None where all are one user."""
        collect, own = self._settings.users.get("collect"), self._settings.users.get(name)
        if collect is None or own is None:
            return None
        group = self._settings.record_gid if name == SIGN else None
        return collect.uid, own.gid if group is None else group

    def fds(self, now: float) -> set[int]:
        """Return the sockets to wait at: of parts that do not run, and may."""
        idle = (each for each in self.members if each.child is None and now >= each.not_before)
        return {each.socket.fileno() for each in idle}

    def next_time(self) -> float:
        """Return when a part may be started again, or is to be."""
        times = [each.not_before for each in self.members if each.child is None and each.failures]
        return min([*times, NEVER if UPLOAD in self._family.purposes else self.deliver_at])

    def hear(self, ready: set[int], now: float) -> None:
        """Start the parts that somebody calls, and a signer that broke off once, to see whether it does so again."""
        for part in self.members:
            again = part.name == SIGN and part.failures == 1 and now >= part.not_before
            if part.child is None and (again or part.socket.fileno() in ready):
                self._start(part, now)

    def deliver_due(self, now: float) -> None:
        """Have the uploader started if it is time."""
        if now < self.deliver_at or UPLOAD in self._family.purposes:
            return
        self.deliver_at = NEVER
        if self.under_systemd:
            answers(os.path.join(self._settings.run, f"{UPLOAD}.sock"))
        for part in self.members:
            if part.name == UPLOAD:
                self._start(part, now)

    def deliver(self, now: float) -> None:
        """Deliver soon: there is something new."""
        self.deliver_at = min(self.deliver_at, now)

    def close(self) -> None:
        """Start nothing more."""
        for part in self.members:
            self._waiting.forget((part.socket.fileno(),))
            part.close()
        self.members = []

    def _start(self, part: Part, now: float) -> None:
        order = Order(part.name, self._settings.command(f"_{part.name}"), LIMIT_S[part.name])
        order.user = part.user
        order.listens = part.socket.fileno()
        order.dies_with_us = False  # it ends by itself, and may have something in hand
        part.child = self._family.start(order, now, self._ended)
        if part.child is None:
            part.ended(1, now)

    def _ended(self, child: Child, code: int, now: float) -> None:
        broke_off = now + KILLED_S
        for part in self.members:
            if part.child is child:
                part.ended(code, now)
                broke_off = max(broke_off, part.not_before)
        if child.order.purpose == UPLOAD:
            wait = {0: NEVER, LATER: now + wait_said(bytes(child.held))}
            self.deliver(wait.get(code, broke_off))  # or sooner: what was signed meanwhile may have come too late
        if code not in (0, LATER):
            say(f"{child.order.purpose}: expected exit code 0, found {code}; it is started again when it is needed")


def wait_said(data: bytes) -> float:
    """Return the seconds that the uploader wants to wait, in bounds; our own where it says none."""
    text = data.decode("ascii", "replace").strip()
    good = text.isascii() and text.isdigit() and len(text) <= _WAIT_DIGITS
    return min(max(float(text), 1.0), AGAIN_LIMIT_S) if good else AGAIN_S


def answers(path: str, made_by: int | None = None) -> bool:
    """Return whether somebody listens at a socket; to connect is also how a part is woken.

    `made_by`: only if this process made it. Whoever starts us under systemd has made the sockets, too; others may be of
    a supervisor that was killed, whose signer still has its own: SO_PEERCRED in unix(7) names who called listen(2).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as one:
        try:
            one.connect(path)
        except BlockingIOError:  # its queue is full: somebody is there
            return True
        except OSError:
            return False
        maker = one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS_BYTES)[:_PID_BYTES]
    return made_by in (None, int.from_bytes(maker, sys.byteorder))
