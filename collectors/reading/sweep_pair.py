"""Two processes on one walk: whoever runs out of work is handed half of the other's oldest folder.

Threads would share one interpreter lock, so the helper is a forked process. Both hold an end of a SEQPACKET
pair; work travels as a folder's descriptor with names in it, so that no path is resolved twice. The helper
ends when it is told so, and also when the first process dies: its end of the pair then reads as closed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket

import msgspec

from collectors.reading.sweep_folder import Folder
from collectors.reading.sweep_harvest import Harvest
from collectors.reading.sweep_mounts import Plan
from collectors.reading.sweep_question import Budget, Question
from collectors.reading.sweep_walk import Walker

HELP_FROM = 20_000
"""Entries after which a second process is worth its start; smaller trees are walked alone."""
_MESSAGE = 1 << 15
_LARGEST = 1 << 17
_WORK, _IDLE, _FULL, _DONE, _BRINGS, _END = b"W", b"I", b"F", b"D", b"B", b"E"


class LostError(Exception):
    """The other process of the walk is gone, and what it had found with it."""


def walk(
    question: Question, plan: Plan, budget: Budget, root_fd: int, *, workers: int, help_from: int = HELP_FROM
) -> Harvest:
    """Return what a walk of all starts found, by one process or two; the findings are the same.

    If the helper dies, nothing is taken from it: one process walks everything again.
    """
    if workers > 1:
        with contextlib.suppress(LostError):
            return _together(question, plan, budget, root_fd, help_from)
    return Walker(question, plan, budget).run(root_fd, plan.starts)


def _together(question: Question, plan: Plan, budget: Budget, root_fd: int, help_from: int) -> Harvest:
    walker, pair = Walker(question, plan, budget), _Pair(help_from)
    walker.on_growth = pair.grow
    try:
        harvest = walker.run(root_fd, plan.starts)
        if pair.link:
            harvest.join(pair.link.receive_harvest(), budget)
        return harvest
    finally:
        pair.end()


class _Pair:
    """The helper, if it has been started."""

    def __init__(self, help_from: int) -> None:
        self._help_from = help_from
        self._child = 0
        self.link: Link | None = None

    def grow(self, walker: Walker) -> Link | None:
        """Start the helper if the tree has turned out to be large; None if not, or if no process can be had."""
        if walker.harvest.entries < self._help_from:
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            child = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            walker.on_growth = None  # no process to be had (EAGAIN, ENOMEM): one does it all
            return None
        if child == 0:
            ours.close()
            _help(Link(theirs, leads=False), walker)
        theirs.close()
        self._child, self.link = child, Link(ours, leads=True)
        return self.link

    def end(self) -> None:
        """Leave no process behind, whatever happened."""
        if not self.link:
            return
        self.link.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)  # it has nothing left to do: all was received, or all is void
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._child, 0)


def _help(link: Link, leader: Walker) -> None:
    """Be the helper, and leave without running anything of the process this is a copy of."""
    code = 1
    try:
        leader.close()
        walker = Walker(leader.question, leader.plan, leader.budget)
        walker.partner = link
        link.send_harvest(walker.run(-1, ()))
        code = 0
    finally:
        os._exit(code)


class Link:
    """One end of the pair. The one that leads says when all is done: it knows, since both then are idle."""

    def __init__(self, end: socket.socket, *, leads: bool) -> None:
        self._socket, self._leads = end, leads
        self._other_idle = self._other_full = False
        self._poll = select.poll()
        self._poll.register(end, select.POLLIN)

    def close(self) -> None:
        """Close this end; the other one reads as closed."""
        self._socket.close()

    def attend(self, walker: Walker) -> None:
        """Hear what the other one wants, and hand it work if it has none."""
        while self._poll.poll(0):
            self._take(walker)
        if self._other_idle and not self._other_full and walker.waiting > 1:
            self._give(walker)

    def more(self, walker: Walker) -> bool:
        """Wait until there is work again; False if the whole walk is done."""
        if not (self._leads and self._other_idle):
            self._send(_FULL if walker.spent else _IDLE)
        while not (self._leads and self._other_idle):
            kind = self._take(walker)
            if kind in {_WORK, _DONE}:
                return kind == _WORK
        self._send(_DONE)
        return False

    def send_harvest(self, harvest: Harvest) -> None:
        """Send what was found, at the end."""
        data = msgspec.msgpack.encode(harvest)
        for at in range(0, len(data), _MESSAGE):
            self._send(_BRINGS + data[at : at + _MESSAGE])
        self._send(_END)

    def receive_harvest(self) -> Harvest:
        """Return what the other one found."""
        parts: list[bytes] = []
        while (message := self._receive()[0])[:1] == _BRINGS:
            parts.append(message[1:])
        return msgspec.msgpack.decode(b"".join(parts), type=Harvest)

    def _take(self, walker: Walker) -> bytes:
        """Receive one message, act on it, and return its kind."""
        message, fd = self._receive()
        kind = message[:1]
        if kind == _WORK:
            path, depth, *names = os.fsdecode(message[1:]).split("\0")
            walker.take(Folder(fd, path, None, walker.plan.points.at(path), int(depth)), names)
        elif kind in {_IDLE, _FULL}:
            self._other_idle, self._other_full = True, kind == _FULL
        return kind

    def _give(self, walker: Walker) -> None:
        """Hand over half of the names of the oldest folder that has some."""
        folder = next((each for each in walker.stack if each.waiting and each.fd >= 0), None)
        if folder is None:
            return
        message = os.fsencode(f"{folder.path()}\0{folder.depth}")
        given = 0
        for name in folder.waiting[: (len(folder.waiting) + 1) // 2]:
            message += b"\0" + os.fsencode(name)
            given += 1
            if len(message) > _MESSAGE:
                break
        if len(message) > _LARGEST:
            return  # a path that long is for one process alone
        self._send(_WORK + message, folder.fd)
        del folder.waiting[:given]
        walker.waiting -= given
        self._other_idle = False

    def _send(self, message: bytes, *fds: int) -> None:
        try:
            socket.send_fds(self._socket, [message], fds)
        except OSError as error:
            raise LostError from error

    def _receive(self) -> tuple[bytes, int]:
        """Return a message and the descriptor that came with it, or -1."""
        try:
            message, fds, _, _ = socket.recv_fds(self._socket, _LARGEST + _MESSAGE, 1)
        except OSError as error:
            raise LostError from error
        if not message:
            raise LostError
        return message, fds[0] if fds else -1
