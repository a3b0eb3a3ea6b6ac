"""The door of a command where there is a signer: one connection, one question, one answer."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator, Sequence

import msgspec

from agent import users
from agent.collection.frames import FrameError, FrameParser, FrameWriter, encode
from agent.collection.limits import FAILURE_LIMIT
from agent.collection.receiver import Collection, lines_of
from agent.places import Places
from agent.signing.asking import Door
from agent.signing.listening import connect
from agent.signing.protocol import (
    KINDS,
    Answer,
    AnyAnswer,
    Batches,
    Check,
    Delivered,
    Failed,
    Flush,
    Hello,
    Logs,
    Question,
    Settings,
    parse_answer,
    question_frame,
)
from collectors.contract import Gap, Reason
from evidence import accepting, errors
from evidence.errors import BusyError, EvidenceError, StateError, UnsafeStateError

CONNECT_S = 5.0
ANSWER_S = 120.0
"""A commit is a handful of fsyncs, and a failing disk takes seconds for each."""
PAUSE_S = 0.2
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: SO_PEERCRED in unix(7)


TWICE_IS_ONCE = (Hello, Check, Delivered, Logs, Batches, Flush, Settings)
"""What may be asked again when the answer was lost: it is done already, or done now."""


class LostAnswerError(StateError):
    """Nobody knows whether it was done."""


class RemoteDoor(Door):
    """Asks the signer."""

    def __init__(self, places: Places, wait_s: float) -> None:
        super().__init__()
        self._places = places
        self._wait_s = wait_s

    def ask(self, question: Question, collections: Sequence[Collection] = ()) -> Answer:
        """Ask; while another program writes, ask again until the wait is over."""
        deadline = time.monotonic() + self._wait_s
        again = isinstance(question, TWICE_IS_ONCE)
        while True:
            try:
                answer = self._once(question, collections)
            except LostAnswerError:
                if not again:
                    raise
                again = False  # it may just have ended, as it does when nobody asks; the next call starts it
                continue
            self._news += answer.news
            if not isinstance(answer, Failed):
                return answer
            error = _error(answer)
            if not isinstance(error, BusyError) or time.monotonic() >= deadline:
                raise error
            time.sleep(PAUSE_S)

    def _once(self, question: Question, collections: Sequence[Collection]) -> AnyAnswer:
        path = self._places.sign_socket
        try:
            with connect(path, CONNECT_S) as connection:
                check_server(connection, self._places)
                connection.settimeout(ANSWER_S)
                _send(connection, question, collections)
                return _received(connection)
        except TimeoutError:
            raise _unknown(path, f"no answer within {ANSWER_S:g} s") from None
        except FrameError as error:
            raise _unknown(path, str(error)) from None
        except OSError as error:
            raise _unknown(path, (error.strerror or "an error").lower()) from None


def check_server(connection: socket.socket, places: Places) -> None:
    """Refuse a socket that somebody else made: what only root may read would be handed to him.

    Of a socket that systemd made, the kernel names systemd, which is root; see SO_PEERCRED in unix(7).
    Raises: UnsafeStateError.
    """
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(credentials)
    trusted = {0, os.geteuid(), users.user_id(users.SIGNER) if places.system else None}
    if uid not in trusted:
        expected = f"a socket of root or user {os.geteuid()}"
        raise UnsafeStateError(places.sign_socket, expected, f"user {uid}", "look who put it there")


def frames_of(collection: Collection) -> Iterator[bytes]:
    """Yield the frames that a child would have sent for a collection that was judged already."""
    yield encode(b"T", collection.table.name.encode())
    gaps = collection.gaps
    if collection.failure is not None:
        reason: Reason = "unsupported" if collection.coverage == "unsupported" else "failed"
        if gaps and gaps[-1] == Gap(collection.table.name, reason, collection.failure):
            gaps = gaps[:-1]  # whoever judges it again adds it again
    yield from _lines(b"R", collection.rows)
    yield from _lines(b"G", list(lines_of(gaps)))
    if collection.failure is not None:
        why = {"coverage": collection.coverage, "text": collection.failure[:FAILURE_LIMIT]}
        yield encode(b"F", msgspec.json.encode(why))
    yield encode(b"E", msgspec.json.encode(collection.cost))


def _lines(kind: bytes, lines: Sequence[bytes]) -> Iterator[bytes]:
    """Yield frames of a useful size; a line alone is never over the limit of a frame."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        if held and size + len(line) > FrameWriter.BATCH:
            yield encode(kind, b"\n".join(held))
            held, size = [], 0
        held.append(line)
        size += len(line) + 1
    if held:
        yield encode(kind, b"\n".join(held))


def _send(connection: socket.socket, question: Question, collections: Sequence[Collection]) -> None:
    try:
        connection.sendall(question_frame(question), socket.MSG_NOSIGNAL)
        for each in collections:
            for frame in frames_of(each):
                connection.sendall(frame, socket.MSG_NOSIGNAL)
        if collections:
            connection.sendall(encode(b"Z", b""), socket.MSG_NOSIGNAL)
    except (BrokenPipeError, ConnectionResetError):
        return  # refused before all was said: the answer says why


def _received(connection: socket.socket) -> AnyAnswer:
    parser = FrameParser(KINDS)
    while data := connection.recv(1 << 16):
        for kind, payload in parser.feed(data):
            if kind != b"A":
                raise FrameError("expected an answer, found another frame")
            return parse_answer(payload)
    raise FrameError("expected an answer, found the end of the connection")


def _error(answer: Failed) -> EvidenceError:
    """Return the error that an answer tells of; one that is not known here is an error of the state."""
    kind = getattr(errors, answer.kind, None) or getattr(accepting, answer.kind, StateError)
    if not (isinstance(kind, type) and issubclass(kind, EvidenceError)):
        kind = StateError
    return kind(answer.where, answer.expected, answer.found, answer.step)


def _unknown(path: str, found: str) -> LostAnswerError:
    step = "see evidenced log whether it was signed, then try again"
    return LostAnswerError(path, "an answer of the signer", found, step)
