"""One connection to the signer: whole requests come out of it, or it ends. Half a message is never a request."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

import msgspec

from agent.collection.dropping import without
from agent.collection.frames import FrameError, FrameParser
from agent.collection.limits import Limits
from agent.collection.receiver import Collection, Receiver
from agent.collection.validation import InvalidRowError
from agent.signing.peer import Peer, Role, may
from agent.signing.protocol import KINDS, Answer, AnyQuestion, Failed, Snapshot, answer_frame, parse_question
from collectors.contract import Table
from evidence.errors import EvidenceError

IDLE_S = 10.0
"""How long a connection may be open without a request."""
REQUEST_S = 120.0
"""How long a request may take to come, from its first byte to its last."""
ANSWER_S = 10.0
"""How long a peer may take to fetch its answer."""
READ_BYTES = 256 << 10
REQUEST_BYTES = 104 << 20
"""Bytes of one request: a snapshot with its rows, of which one table has 48 MiB at most, and as much of gaps.

Signing takes up to six times as much memory as rows have bytes, and the unit has 512 MiB.
"""
FOLDED_GAPS = 100
"""Gaps beyond the limit: a collection that was received once already has one for each reason that was folded."""

LIMITS = Limits(gaps=Limits().gaps + FOLDED_GAPS)
Tables = Callable[[], Mapping[str, Table]]


class Request(msgspec.Struct, frozen=True):
    """A whole request; collections come with a snapshot only."""

    question: AnyQuestion
    collections: tuple[Collection, ...] = ()


class Session:
    """A connection between its first byte and its last; it never blocks."""

    def __init__(self, connection: socket.socket, peer: Peer, role: Role, tables: Tables, now: float) -> None:
        self.connection = connection
        self.peer = peer
        self.role = role
        self._tables = tables
        self._parser = FrameParser(KINDS)
        self._incoming: _Incoming | None = None
        self._out = memoryview(b"")
        self._last = False
        self.held = 0
        """Bytes of a request that is not whole yet."""
        self.request: Request | None = None
        self.deadline = now + IDLE_S

    @property
    def sends(self) -> bool:
        """Return whether an answer waits to be fetched."""
        return bool(self._out)

    @property
    def receives(self) -> bool:
        """Return whether a request may come: one at a time."""
        return not self._out and self.request is None

    def read(self, now: float) -> bool:
        """Take what has come; return whether the connection goes on.

        Raises: FrameError when it is no request; EvidenceError when it is one that this peer may not make.
        """
        try:
            data = self.connection.recv(READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        if not self.held:
            self.deadline = now + REQUEST_S
        self.held += len(data)
        if self.held > REQUEST_BYTES:
            raise FrameError(f"expected a request of at most {REQUEST_BYTES >> 20} MiB, found a longer one")
        try:
            for kind, payload in self._parser.feed(data):
                self._take(kind, payload)
        except InvalidRowError as error:  # a gap that is none; an invalid row fails its table and goes on
            raise FrameError(str(error)) from None
        return True

    def answer(self, answer: Answer, now: float, *, last: bool = False) -> None:
        """Put an answer on its way; behind the last one the connection ends."""
        self.request = self._incoming = None
        self.held = 0
        self._out = memoryview(answer_frame(answer))
        self._last = last
        self.deadline = now + ANSWER_S

    def write(self, now: float) -> bool:
        """Send what the peer takes; return whether the connection goes on."""
        try:
            sent = self.connection.send(self._out, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._out = self._out[sent:]
        if not self._out:
            self.deadline = now + IDLE_S
            return not self._last
        return True

    def close(self) -> None:
        """End the connection."""
        self.connection.close()

    def _take(self, kind: bytes, payload: bytes) -> None:
        if self.request is not None:
            raise FrameError("expected to wait for the answer, found another frame")
        if self._incoming is None:
            if kind != b"Q":
                raise FrameError(f"expected a request, found kind {kind.decode()}")
            self._begin(parse_question(payload))
        elif kind == b"Z":
            self.request = self._incoming.whole(payload)
        else:
            self._incoming.take(kind, payload)

    def _begin(self, question: AnyQuestion) -> None:
        if not may(self.role, question):
            op = type(question).__name__.lower()
            raise NotAllowedError(f"request {op}", "somebody who may ask that", f"user {self.peer.uid}")
        if isinstance(question, Snapshot):
            self._incoming = _Incoming(question, self._tables())
        else:
            self.request = Request(question)


class NotAllowedError(EvidenceError):
    """A request that this peer may not make."""


class _Incoming:
    """A snapshot whose tables are still coming."""

    def __init__(self, question: Snapshot, known: Mapping[str, Table]) -> None:
        unknown = [name for name in question.tables if name not in known]
        if unknown or len(set(question.tables)) != len(question.tables):
            raise FrameError("expected tables of this version, each once, found another")
        self._question = question
        try:
            tables = without([known[name] for name in question.tables], question.dropped)
        except ValueError as error:
            raise FrameError(str(error)) from None
        self._receiver = Receiver(tables, LIMITS, _no_progress)
        self._ended = 0

    def take(self, kind: bytes, payload: bytes) -> None:
        """Take one frame of a table."""
        if kind in (b"Q", b"A"):
            raise FrameError(f"expected the rest of a snapshot, found kind {kind.decode()}")
        self._receiver.take(kind, payload)
        self._ended += kind == b"E"

    def whole(self, payload: bytes) -> Request:
        """Return the request, now that all of it is there."""
        if payload or self._ended != len(self._question.tables):
            raise FrameError("expected every table before the end of a snapshot, found fewer")
        return Request(self._question, tuple(self._receiver.finish(None)))


def _no_progress(_name: str, _rows: int) -> None:
    """Show nothing: nobody looks on."""


def failure(error: EvidenceError) -> Failed:
    """Return an error as an answer."""
    return Failed(
        kind=type(error).__name__, where=error.where, expected=error.expected, found=error.found, step=error.step
    )


def misspoken(error: FrameError) -> Failed:
    """Return the answer to what is no request."""
    return Failed(kind="FormatError", where="request", expected="one of this version", found=str(error), step="")
