"""Requests to the hub: whatever a peer sends, the answer is one of the protocol's, and never 500."""

from __future__ import annotations

import asyncio
import atexit
import functools
import tempfile
from contextlib import ExitStack
from typing import Any

from starlette.types import ASGIApp, Message

from hub.folder import serving
from hub.limits import Limits
from hub.service import Hub
from hub.signing import signers
from hub.tokens import TokenCheck
from hub.web.access_log import AccessLog
from hub.web.app import Application, application

REQUESTS = (
    ("GET", "/v1/hub"),
    ("POST", "/v1/enrolments"),
    ("POST", "/v1/batches"),
    ("POST", "/add-checkpoint"),
    ("HEAD", "/v1/uploads/0123456789abcdef0123456789abcdef"),
    ("PATCH", "/v1/uploads/0123456789abcdef0123456789abcdef"),
    ("GET", "/v1/logs/0123456789abcdef-1/checkpoint"),
)
NAMES = (
    b"content-type",
    b"authorization",
    b"evidenced-batch",
    b"evidenced-digest",
    b"evidenced-checkpoint",
    b"upload-length",
    b"upload-offset",
    b"upload-complete",
    b"content-encoding",
)
TOKEN = "a-token-for-random-input"
KNOWN = (
    b"application/json",
    f"Bearer {TOKEN}".encode(),
    b"0123456789abcdef-1-000000000000-000000000001",
    b"0" * 64,
    b"AAAA",
    b"1",
    b"?1",
    b"?0",
    b"application/partial-upload",
)


@functools.lru_cache(maxsize=1)
def app() -> ASGIApp:
    """Return the application of a hub in a folder that is removed at the end."""
    stack = ExitStack()
    atexit.register(stack.close)
    data = stack.enter_context(tempfile.TemporaryDirectory())
    folder = stack.enter_context(serving(data))
    tokens = TokenCheck(folder.database)
    hub = Hub(folder, signers(folder.keys, "hub.example"), tokens, Limits(reserve=0))
    stack.callback(hub.close)
    inner = Application(hub)
    stack.callback(inner.close)
    return application(inner, hub, AccessLog(lambda _: None))


def target(data: bytes) -> None:
    """Make one request of the bytes: the first ones choose method, path and headers, the rest is values and body."""
    choice, rest = data[:2].ljust(2, b"\0"), data[2:]
    method, path = REQUESTS[choice[0] % len(REQUESTS)]
    values = rest.split(b"\0", 3)
    headers = [(name, KNOWN[(choice[1] + at) % len(KNOWN)]) for at, name in enumerate(NAMES) if choice[1] >> at % 8 & 1]
    headers += [(NAMES[len(each) % len(NAMES)], each[:200]) for each in values[:-1]]
    body = values[-1]
    headers.append((b"content-length", b"%d" % len(body)))
    status = asyncio.run(asked(method, path, headers, body))
    if status >= 500 and status != 507:  # a full disk may be
        raise AssertionError(f"expected an answer to {method} {path}, found {status}")


async def asked(method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    """Return the status of the answer to a request."""
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "state": {},
    }
    await app()(scope, receive, send)
    return statuses[0]
