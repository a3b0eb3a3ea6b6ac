"""Any bytes over the signer's socket: whole requests of a known form, or our error; never half of one."""

from __future__ import annotations

import contextlib
import socket

from agent.collection.frames import FrameError, encode
from agent.signing.peer import Peer, Role
from agent.signing.protocol import parse_answer, parse_question, question_frame
from agent.signing.session import Session
from collectors.access import users
from evidence.errors import EvidenceError

HEAD = encode(
    b"Q",
    b'{"op":"snapshot","tables":["users"],"promise":{},"reason":"change","privileged":true,"labels":{}}',
) + encode(b"T", b"users")


def target(data: bytes) -> None:
    """Read as a request, as an answer, and as what follows the beginning of a snapshot."""
    for parse in (parse_question, parse_answer):
        with contextlib.suppress(FrameError):
            parse(data)
    with contextlib.suppress(FrameError):
        question_frame(parse_question(data))
    for head in (b"", HEAD):
        _spoken(head + data)


def _spoken(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)  # noqa: FBT003  it takes no keyword
        session = Session(ours, Peer(0, frozenset()), Role.OWNER, lambda: {"users": users.TABLE}, 0)
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        try:
            while session.request is None and session.read(0):
                pass
        except (FrameError, EvidenceError):
            return
        if session.request is not None and not data.endswith(encode(b"Z", b"")) and not data.startswith(b"Q"):
            raise AssertionError("expected no request of what is none")
