"""What every request passes: limits that need no knowledge of it, one answer whatever happens, and the access log."""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections import Counter
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.limits import Limits
from hub.problem import Problem, Refused
from hub.web.access_log import AccessLog, Line, now

_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
_BUSY = {"Retry-After": "2"}
_DRAIN_S = 2.0


class Exchange(msgspec.Struct):
    """What the log will say of a request; handlers fill in what they learn."""

    path: str | None = None
    log: str | None = None
    kind: str | None = None
    status: int = 0
    received: int = 0
    sent: int = 0
    ended: bool = False
    """Whether the body was read to its end."""


class Gate:
    """The outermost part of the application."""

    def __init__(self, app: ASGIApp, limits: Limits, log: AccessLog) -> None:
        self._app = app
        self._limits = limits
        self._log = log
        self._peers: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        started = time.monotonic()
        exchange = Exchange()
        scope["state"]["exchange"] = exchange
        peer = str((scope.get("client") or ("-",))[0])
        self._peers[peer] += 1
        try:
            await self._answered(scope, _counting(receive, exchange), _watching(send, exchange), peer)
        finally:
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]
            self._log.add(_line(scope, exchange, peer, started))

    async def _answered(self, scope: Scope, receive: Receive, send: Send, peer: str) -> None:
        exchange: Exchange = scope["state"]["exchange"]
        try:
            self._admit(scope, peer)
            await self._app(scope, receive, send)
        except ClientDisconnect:
            exchange.kind = "gone"
        except Exception as error:  # an answer, whatever it was; places go to the log
            if exchange.status:
                raise  # half an answer is out: the server ends the connection
            await self._refuse(_refusal(error, self._log), scope, receive, send)

    def _admit(self, scope: Scope, peer: str) -> None:
        head = len(scope["raw_path"]) + sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        if head > self._limits.max_head:
            raise Problem("malformed", f"expected headers of at most {self._limits.max_head} bytes, found more")
        if self._peers[peer] > self._limits.per_peer:
            raise Problem("too-many", f"expected at most {self._limits.per_peer} requests at a time", headers=_BUSY)
        if self._peers.total() > self._limits.at_once:
            raise Problem("unavailable", "many others are being served", headers=_BUSY)

    async def _refuse(self, refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["state"]["exchange"]
        exchange.kind = getattr(refused, "kind", "size")
        headers = {**refused.headers, "Content-Type": refused.media_type}  # as it stands: Starlette adds a charset
        if not exchange.ended and _has_body(scope):
            headers["Connection"] = "close"  # nobody will read what still comes
            await self._drain(receive, exchange)
        if exchange.kind == "timeout":
            headers["Connection"] = "close"
        body = b"" if scope["method"] == "HEAD" else refused.body
        response = Response(body, refused.status, headers)
        await response(scope, receive, send)

    async def _drain(self, receive: Receive, exchange: Exchange) -> None:
        """Read some of what is under way: a peer that is still sending would lose the answer with the connection."""
        most = 2 * self._limits.max_chunk
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_read_on(receive, exchange, most), _DRAIN_S)


async def _read_on(receive: Receive, exchange: Exchange, most: int) -> None:
    while not exchange.ended and exchange.received < most:
        if (await receive())["type"] != "http.request":
            return


def _refusal(error: Exception, log: AccessLog) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, HTTPException):
        kind = {404: "unknown", 405: "method"}.get(error.status_code, "malformed")
        return Problem(kind, "see the protocol", headers=error.headers)
    # Places only: the text of an error may quote what a client sent.
    places = [
        f"{each.filename.rpartition('/hub/')[2]}:{each.lineno}" for each in traceback.extract_tb(error.__traceback__)
    ]
    log.note("defect", error=type(error).__name__, at=" ".join(places[-8:]))
    return Problem("internal", "see the log of the hub")


def _has_body(scope: Scope) -> bool:
    return any(
        (name == b"content-length" and value != b"0") or name == b"transfer-encoding"
        for name, value in scope["headers"]
    )


def _counting(receive: Receive, exchange: Exchange) -> Receive:
    async def counted() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            exchange.received += len(message.get("body", b""))
            exchange.ended = not message.get("more_body", False)
        return message

    return counted


def _watching(send: Send, exchange: Exchange) -> Send:
    async def watched(message: Any) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
        elif message["type"] == "http.response.body":
            exchange.sent += len(message.get("body", b""))
        await send(message)

    return watched


def _line(scope: Scope, exchange: Exchange, peer: str, started: float) -> Line:
    return Line(
        time=now(),
        peer=peer,
        method=scope["method"] if scope["method"] in _METHODS else "other",
        path=exchange.path,
        status=exchange.status,
        ms=round((time.monotonic() - started) * 1000),
        received=exchange.received,
        sent=exchange.sent,
        log=exchange.log,
        kind=exchange.kind,
    )
