"""The body of a request: bounded in bytes and in time."""

from __future__ import annotations

import asyncio
import time

from starlette.requests import ClientDisconnect, Request

from hub.limits import Limits
from hub.problem import Problem


async def read(request: Request, limit: int, limits: Limits) -> bytes:
    """Return the whole body.

    Raises: Problem 411, 413, 415, 408; ClientDisconnect when the peer is gone before its end.
    """
    length = announced(request)
    if length > limit:
        raise Problem("too-large", f"expected at most {limit} bytes, found {length}", headers=upload_limit(limits))
    deadline = time.monotonic() + limits.body_s
    parts: list[bytes] = []
    stream = request.stream()
    left = length
    while left > 0:
        wait = min(limits.piece_s, deadline - time.monotonic())
        try:
            part = await asyncio.wait_for(anext(stream), max(wait, 0))
        except asyncio.TimeoutError:
            raise Problem("timeout", "send it faster", headers={"Connection": "close"}) from None
        except StopAsyncIteration:
            raise ClientDisconnect from None
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def announced(request: Request) -> int:
    """Return the body's length. Raises: Problem 411, 415."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem("media", "Content-Encoding: expected none, found one")
    if "Transfer-Encoding" in request.headers or "Content-Length" not in request.headers:
        raise Problem("length", "Content-Length: expected one, found none")
    return int(request.headers["Content-Length"])  # the HTTP parser has checked its form


def upload_limit(limits: Limits) -> dict[str, str]:
    """Return the header that tells what an upload may be."""
    value = f"max-size={limits.max_batch}, max-append-size={limits.max_chunk}, max-age={limits.upload_age_s}"
    return {"Upload-Limit": value}
