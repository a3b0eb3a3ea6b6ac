"""The signer's loop: several connections, one request at a time, and nobody who can keep it waiting.

Reading, checking and answering never block; only the disk does, while a request is being signed.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from types import FrameType

from agent.collection.frames import FrameError
from agent.signing.notify import Notifier
from agent.signing.peer import Doorkeeper, Role, peer_of
from agent.signing.protocol import Answer, Failed
from agent.signing.session import Request, Session, Tables, failure, misspoken
from evidence.errors import EvidenceError

CONNECTIONS = 16
RECORDERS = 4
"""Connections of those who may record only: they never take the place of the collector."""
IN_FLIGHT_BYTES = 112 << 20
"""Of all requests that are not whole yet, together."""
DEAF_S = 1.0
"""After a connection could not be taken, the next try: poll(2) would say at once that it still waits."""
IDLE_EXIT_S = 20.0
LEAVE_S = 2.0
"""How long peers may take to fetch their last answers once we were told to end."""

Act = Callable[[Request, int], Answer]
"""Answers a request of a user; raises nothing that is about the request."""


class Server:
    """Serves a listening socket until nobody came for a while, or a signal says stop."""

    def __init__(
        self,
        listener: socket.socket,
        doorkeeper: Doorkeeper,
        act: Act,
        tables: Tables,
        *,
        idle_s: float = IDLE_EXIT_S,
    ) -> None:
        self._listener = listener
        self._doorkeeper = doorkeeper
        self._act = act
        self._tables = tables
        self._idle_s = idle_s
        self._sessions: dict[int, Session] = {}
        self._waiting: deque[Session] = deque()
        self._poller = select.poll()
        self._listening = False
        self._deaf_until = 0.0
        self._stopped = False
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poller.register(self._wake, select.POLLIN)
        listener.setblocking(False)  # noqa: FBT003  it takes no keyword

    def stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """Finish what is in hand and return from `run`; a signal handler."""
        self._stopped = True

    def heed_signals(self) -> None:
        """Let SIGTERM and SIGINT stop the loop instead of the commit in hand; SIGHUP means nothing to a signer."""
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self.stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)

    def run(self, notifier: Notifier, pause: Callable[[float], float | None]) -> None:
        """Serve. `pause` is called when nothing waits, with the time; it returns when it wants to be called again."""
        notifier.ready()
        idle_since = time.monotonic()
        ticked = -1e9
        while not self._stopped:
            now = time.monotonic()
            if notifier.tick_s is not None and now - ticked >= notifier.tick_s:
                notifier.alive()
                ticked = now
            if self._sessions:
                idle_since = now
            again = None if self._waiting else pause(now)
            if again is None and now - idle_since >= self._idle_s and not self._is_called():
                break
            self._poll(self._patience(now, idle_since, notifier.tick_s, again))
            self._end_late(time.monotonic())
            if self._waiting and not self._stopped:
                self._serve(self._waiting.popleft())
        notifier.stopping()
        self._leave()

    def close(self) -> None:
        """End all connections; the listening socket stays with whoever passed it on."""
        for session in list(self._sessions.values()):
            self._end(session)
        self._listener.close()
        os.close(self._wake)
        os.close(self._waker)

    def _is_called(self) -> bool:
        """Return whether somebody waits to be let in, who would be turned away if we ended now."""
        look = select.poll()
        look.register(self._listener, select.POLLIN)
        return bool(look.poll(0))

    def _patience(self, now: float, idle_since: float, tick_s: float | None, again: float | None) -> float:
        """Return for how many seconds nothing needs to be done."""
        if self._waiting:
            return 0.0
        until = [each.deadline for each in self._sessions.values()]
        if self._deaf_until > now:
            until.append(self._deaf_until)
        until.append(idle_since + self._idle_s if again is None else again)
        if tick_s is not None:
            until.append(now + tick_s)
        return max(0.0, min(until) - now)

    def _poll(self, seconds: float) -> None:
        self._listen(len(self._sessions) < CONNECTIONS and time.monotonic() >= self._deaf_until)
        for descriptor, each in self._sessions.items():
            wanted = (select.POLLIN if each.receives else 0) | (select.POLLOUT if each.sends else 0)
            self._poller.modify(descriptor, wanted)
        for descriptor, event in self._poller.poll(seconds * 1000 + 1):
            if descriptor == self._wake:
                os.read(self._wake, 512)
            elif descriptor == self._listener.fileno():
                self._accept()
            elif (session := self._sessions.get(descriptor)) is not None:
                self._move(session, event)

    def _listen(self, wanted: bool) -> None:
        """Look for new connections, or leave them in the queue while there are too many."""
        if wanted != self._listening:
            if wanted:
                self._poller.register(self._listener, select.POLLIN)
            else:
                self._poller.unregister(self._listener)
            self._listening = wanted

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:  # it went away again
            return
        except OSError:  # no descriptors, no memory: whoever waits stays in the queue
            self._deaf_until = time.monotonic() + DEAF_S
            return
        try:
            peer = peer_of(connection)
        except OSError:
            connection.close()
            return
        connection.setblocking(False)  # noqa: FBT003  it takes no keyword
        now = time.monotonic()
        session = Session(connection, peer, self._doorkeeper.role(peer), self._tables, now)
        self._sessions[connection.fileno()] = session
        self._poller.register(connection, 0)
        counts = Counter(each.role for each in self._sessions.values())
        if session.role is Role.STRANGER:
            found = f"user {peer.uid}"
            session.answer(_refusal("NotAllowedError", "signer", "a user it serves", found), now, last=True)
        elif session.role is Role.RECORDER and counts[Role.RECORDER] > RECORDERS:
            found = "as many already"
            expected = f"at most {RECORDERS} records at a time"
            session.answer(_refusal("BusyError", "signer", expected, found), now, last=True)

    def _move(self, session: Session, event: int) -> None:
        """Read or write as far as it goes without waiting."""
        now = time.monotonic()
        try:
            if event & select.POLLIN:
                goes_on = session.read(now)
            elif event & select.POLLOUT:
                goes_on = session.write(now)
            else:
                goes_on = session.request is not None  # hung up; what it asked for is still done
        except FrameError as error:
            session.answer(misspoken(error), now, last=True)
            return
        except EvidenceError as error:
            session.answer(failure(error), now, last=True)
            return
        if not goes_on:
            self._end(session)
        elif session.request is not None and session not in self._waiting:
            self._waiting.append(session)
        elif sum(each.held for each in self._sessions.values()) > IN_FLIGHT_BYTES:
            expected = f"at most {IN_FLIGHT_BYTES >> 20} MiB of requests at a time"
            session.answer(_refusal("BusyError", "signer", expected, "more"), now, last=True)

    def _serve(self, session: Session) -> None:
        request = session.request
        if request is not None:
            session.answer(self._act(request, session.peer.uid), time.monotonic())

    def _end_late(self, now: float) -> None:
        for session in list(self._sessions.values()):
            if now >= session.deadline and session.request is None:
                self._end(session)

    def _end(self, session: Session) -> None:
        self._poller.unregister(session.connection)
        del self._sessions[session.connection.fileno()]
        session.close()

    def _leave(self) -> None:
        """Let peers fetch the answers to what was signed; what was not begun is refused."""
        now = time.monotonic()
        for session in self._waiting:
            session.answer(_refusal("BusyError", "signer", "to serve", "that it ends"), now, last=True)
        self._waiting.clear()
        for each in list(self._sessions.values()):
            if not each.sends:
                self._end(each)
        while self._sessions and (left := now + LEAVE_S - time.monotonic()) > 0:
            self._listen(False)  # noqa: FBT003  as it says
            self._poll_answers(left)

    def _poll_answers(self, seconds: float) -> None:
        for descriptor in self._sessions:
            self._poller.modify(descriptor, select.POLLOUT)
        for descriptor, _ in self._poller.poll(seconds * 1000 + 1):
            if descriptor == self._wake:
                os.read(self._wake, 512)
            elif (session := self._sessions.get(descriptor)) is not None:
                goes_on = session.write(time.monotonic())
                if not goes_on or not session.sends:
                    self._end(session)


def _refusal(kind: str, where: str, expected: str, found: str) -> Failed:
    return Failed(kind=kind, where=where, expected=expected, found=found, step="try again later")
