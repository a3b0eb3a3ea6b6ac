"""The application: which path leads where, and how each answer is written (docs/hub-protocol.md, sections 4 to 9)."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from hub import witness
from hub.intake import Arrived
from hub.problem import Problem, Refused
from hub.service import Hub
from hub.uploads import Announced
from hub.web import body, headers
from hub.web.access_log import AccessLog
from hub.web.gate import Exchange, Gate
from hub.web.turns import Turns

NOTE = "text/plain; charset=utf-8"
PARTIAL = "application/partial-upload"
_THREADS = 4
_Result = TypeVar("_Result")
_Handler = Callable[[Request], Awaitable[Response]]


class Application:
    """The hub's answers; work that takes time is done in threads."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._turns = Turns()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="hub")

    def close(self) -> None:
        """Wait for the threads to end."""
        self._threads.shutdown()

    def routes(self) -> list[Route]:
        """Return every path of the protocol."""
        return [
            _route("/v1/hub", self._describe, "GET"),
            _route("/v1/enrolments", self._enrol, "POST"),
            _route("/v1/logs/{log}/checkpoint", self._checkpoint, "GET"),
            _route("/v1/batches", self._begin, "POST"),
            _route("/v1/uploads/{upload}", self._upload, "HEAD", "PATCH"),
            _route("/add-checkpoint", self._add_checkpoint, "POST"),
        ]

    async def _describe(self, _request: Request) -> Response:
        return _json(self._hub.describe(), 200)

    async def _enrol(self, request: Request) -> Response:
        headers.media_type(request, "application/json")
        token = headers.token(request)
        data = await body.read(request, self._hub.limits.max_small_body, self._hub.limits)
        done = await self._in_thread(lambda: self._hub.enrol(data, token))
        _exchange(request).log = done.log
        signers = self._hub.signers
        value = {
            "hub": signers.storage.name,
            "log": done.log,
            "name": done.name,
            "vkey": signers.storage.vkey,
            "witness_vkey": signers.witness.vkey,
        }
        return _json(value, 201 if done.new else 200)

    async def _checkpoint(self, request: Request) -> Response:
        found = await self._in_thread(lambda: self._hub.checkpoint(request.path_params["log"]))
        _exchange(request).log = request.path_params["log"]
        return Response(found, 200, media_type=NOTE)

    async def _begin(self, request: Request) -> Response:
        announced, complete = self._announced(request)
        _exchange(request).log = announced.log_id
        found = await self._in_thread(lambda: self._hub.examine(announced))
        data = await body.read(request, self._hub.limits.max_chunk, self._hub.limits) if complete else b""
        if isinstance(found, Arrived) and complete:
            found = await self._taken(announced, lambda: io.BytesIO(data), found)
        if isinstance(found, bytes):
            self._hub.uploads.end_all(announced.digest)
            return _acknowledged(found)
        upload = await self._in_thread(lambda: self._hub.uploads.begin(announced))
        where = {"Location": f"/v1/uploads/{upload}", **self._progress(upload, announced)}
        return Response(status_code=201, headers=where)

    def _announced(self, request: Request) -> tuple[Announced, bool]:
        log_id, first, size = headers.batch(request)
        length, complete = headers.number(request, "Upload-Length"), headers.flag(request, "Upload-Complete")
        limits = self._hub.limits
        if not 1 <= length <= limits.max_batch:
            found = body.upload_limit(limits)
            raise Problem("too-large", f"expected 1 to {limits.max_batch} bytes, found {length}", headers=found)
        here = body.announced(request)
        if here > limits.max_chunk:
            found = body.upload_limit(limits)
            raise Problem("too-large", f"expected at most {limits.max_chunk} bytes, found {here}", headers=found)
        if here != (length if complete else 0):
            raise Problem("malformed", "Upload-Complete: expected ?1 with the whole file, or ?0 with an empty body")
        note = headers.checkpoint(request)
        try:
            text = note.decode("utf-8")
        except UnicodeDecodeError:
            raise Problem("malformed", "Evidenced-Checkpoint: expected UTF-8, found other bytes") from None
        digest = headers.digest(request)
        announced = Announced(log_id=log_id, first=first, size=size, digest=digest, length=length, note=text)
        return announced, complete

    async def _upload(self, request: Request) -> Response:
        upload = request.path_params["upload"]
        if request.method == "PATCH":
            return await self._append(request, upload)
        announced = self._hub.uploads.peek(upload)
        if announced is None:
            raise Problem("unknown", "no such upload is open: begin again")
        return Response(status_code=204, headers=self._progress(upload, announced))

    async def _append(self, request: Request, upload: str) -> Response:
        headers.media_type(request, PARTIAL)
        offset, complete = headers.number(request, "Upload-Offset"), headers.flag(request, "Upload-Complete")
        uploads = self._hub.uploads
        announced = uploads.take(upload)
        _exchange(request).log = announced.log_id
        try:
            uploads.check_offset(upload, offset)
            data = await body.read(request, self._hub.limits.max_chunk, self._hub.limits)
            _check_piece(announced, offset, data, complete=complete)
            await self._in_thread(lambda: uploads.append(upload, offset, data))
            if not complete:
                return Response(status_code=204, headers=self._progress(upload, announced))
            try:
                done = await self._taken(announced, lambda: uploads.reader(upload))
            except Refused as refused:
                refused.headers["Upload-Complete"] = "?1"
                if refused.status < 500:  # noqa: PLR2004  what is wrong with it stays wrong
                    uploads.end(upload)
                raise
            uploads.end(upload)
            return _acknowledged(done)
        finally:
            uploads.release(upload)

    async def _taken(
        self, announced: Announced, stream: Callable[[], BinaryIO], arrived: Arrived | None = None
    ) -> bytes:
        """Return the acknowledgement of a batch that is here whole."""

        def verify() -> Future[bytes]:
            with stream() as whole:
                return self._hub.verify(announced, whole, arrived)

        async with self._turns.of(announced.log_id):
            return await asyncio.wrap_future(await self._in_thread(verify))

    async def _add_checkpoint(self, request: Request) -> Response:
        data = await body.read(request, self._hub.limits.max_small_body, self._hub.limits)
        submission = witness.parse(data)
        log_id = witness.log_of(submission)
        _exchange(request).log = log_id
        async with self._turns.of(log_id):
            line = await self._in_thread(lambda: self._hub.add_checkpoint(submission))
        return Response(line, 200, media_type=NOTE)

    def _progress(self, upload: str, announced: Announced) -> dict[str, str]:
        return {
            "Upload-Offset": f"{self._hub.uploads.offset(upload)}",
            "Upload-Length": f"{announced.length}",
            "Upload-Complete": "?0",
            "Cache-Control": "no-store",
            **body.upload_limit(self._hub.limits),
        }

    async def _in_thread(self, call: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def application(app: Application, hub: Hub, log: AccessLog) -> ASGIApp:
    """Return the whole ASGI application."""
    return Gate(_Routes(app), hub.limits, log)


class _Routes(Starlette):
    """Starlette's router with errors left to the gate."""

    def __init__(self, app: Application) -> None:
        super().__init__(routes=app.routes())
        self.router.redirect_slashes = False

    def build_middleware_stack(self) -> ASGIApp:
        """Return the router alone: the gate outside does what the usual layers would."""
        return self.router


def _route(path: str, handler: _Handler, *methods: str) -> Route:
    async def handle(request: Request) -> Response:
        _exchange(request).path = path
        if request.method not in methods:
            raise Problem("method", f"expected {' or '.join(methods)}", headers={"Allow": ", ".join(methods)})
        return await handler(request)

    return Route(path, handle, methods=["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"])


def _exchange(request: Request) -> Exchange:
    exchange: Exchange = request.scope["state"]["exchange"]
    return exchange


def _json(value: Mapping[str, str | int], status: int) -> Response:
    data = msgspec.json.encode(value, order="sorted")
    return Response(data, status, {"Cache-Control": "no-store"}, "application/json")


def _acknowledged(note: bytes) -> Response:
    return Response(note, 200, {"Upload-Complete": "?1"}, NOTE)


def _check_piece(announced: Announced, offset: int, data: bytes, *, complete: bool) -> None:
    end = offset + len(data)
    if not data and not complete:
        raise Problem("malformed", "expected a piece of at least one byte, found none")
    if end > announced.length or (complete and end != announced.length):
        raise Problem("malformed", f"expected pieces of {announced.length} bytes in all, found {end}")
