"""uvicorn's HTTP/1.1 with the deadlines and the words it lacks.

uvicorn waits for ever for the first request of a connection and for the end of its headers, and takes as many
connections as there are descriptors.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from hub.limits import Limits
from hub.problem import MEDIA_TYPE, Problem
from hub.web.access_log import AccessLog


class Bounded(H11Protocol):
    """One connection; `protocol` gives a class its limits and log."""

    limits: ClassVar[Limits]
    access: ClassVar[AccessLog]
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.abort()
            return
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Go on; the deadline stands while headers are incomplete."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._deadline is None and not self.transport.is_closing():
            self._wait_for_headers()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as the protocol says, and end the connection."""
        problem = Problem("malformed", msg.rstrip(".").lower())
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(problem.body)),
            (b"connection", b"close"),
        ]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            response = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            events = (response, h11.Data(data=problem.body), h11.EndOfMessage())
            self.transport.write(b"".join(self.conn.send(each) or b"" for each in events))
        self.access.note("malformed", peer=str((self.client or ("-",))[0]))
        self.transport.close()

    def _wait_for_headers(self) -> None:
        self._deadline = self.loop.call_later(self.limits.head_s, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def protocol(limits: Limits, log: AccessLog) -> type[Bounded]:
    """Return the class of connections under these limits."""
    return type("Connection", (Bounded,), {"limits": limits, "access": log})
