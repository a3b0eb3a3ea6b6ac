"""Peers that are slow or many: each deadline and limit, with short ones, in one process with the test."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import uvicorn

from hub.folder import serving
from hub.limits import Limits
from hub.service import Hub
from hub.signing import signers
from hub.tokens import TokenCheck
from hub.web.access_log import AccessLog
from hub.web.app import Application, application
from hub.web.protocol import protocol
from hub.web.server import bind
from hub.web.turns import Turns

SHORT = Limits(head_s=0.2, piece_s=0.2, body_s=0.5, idle_s=1, per_peer=2, connections=4, reserve=0)


@contextmanager
def serve(data: Path, limits: Limits = SHORT) -> Iterator[int]:
    """Serve in a thread with the hub's own parts and give the port."""
    lines: list[str] = []
    log = AccessLog(lines.append)
    with serving(str(data)) as folder:
        hub = Hub(folder, signers(folder.keys, "hub.example"), TokenCheck(folder.database), limits)
        app = Application(hub)
        listening = bind("127.0.0.1", 0)
        config = uvicorn.Config(
            application(app, hub, log), http=protocol(limits, log), ws="none", lifespan="off", log_config=None
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
            app.close()
            hub.close()
            listening.close()


def everything(connection: socket.socket) -> bytes:
    """Return what comes until the hub ends the connection."""
    connection.settimeout(10)
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_a_peer_that_says_nothing_or_half_a_head_is_cut_off(tmp_path: Path) -> None:
    with serve(tmp_path / "data") as port:
        for said in (b"", b"GET /v1/hub HTTP/1.1\r\nHost: "):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(said)
                assert everything(connection) == b""


def test_a_body_that_stops_is_answered_and_cut_off(tmp_path: Path) -> None:
    head = b"POST /add-checkpoint HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nold 0"
    with serve(tmp_path / "data") as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head)
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"urn:evidenced:hub:timeout" in answer


def test_a_body_that_drips_is_cut_off_in_the_end(tmp_path: Path) -> None:
    head = b"POST /add-checkpoint HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"
    ended = threading.Event()
    with serve(tmp_path / "data") as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head)

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not ended.wait(0.05):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        answer = everything(connection)
        ended.set()
        thread.join()
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_one_address_has_few_requests_at_a_time(tmp_path: Path) -> None:
    limits = msgspec.structs.replace(SHORT, piece_s=10, body_s=10)
    half = b"POST /add-checkpoint HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n"
    with serve(tmp_path / "data", limits) as port:
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        for each in held:
            each.sendall(half)
        with socket.create_connection(("127.0.0.1", port)) as third:
            third.sendall(half + b"old 0\n\nx\n")
            answer = everything(third)
        for each in held:
            each.close()
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"retry-after: 2" in answer.lower()


def test_more_connections_than_the_hub_takes_are_cut_off(tmp_path: Path) -> None:
    limits = msgspec.structs.replace(SHORT, head_s=10)
    with serve(tmp_path / "data", limits) as port:
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        for each in held:  # so that they are there before the next one
            each.sendall(b"GET /v1/hub HTTP/1.1\r\nHost: h\r\n\r\n")
            assert each.recv(12) == b"HTTP/1.1 200"
        with socket.create_connection(("127.0.0.1", port)) as fifth:
            assert everything(fifth) == b""
        for each in held:
            each.close()


def test_turns_follow_each_other_for_one_log_and_are_forgotten() -> None:
    turns, order = Turns(), []

    async def take(log: str, name: str, pause: asyncio.Event | None = None) -> None:
        async with turns.of(log):
            order.append(name)
            if pause is not None:
                await pause.wait()
            order.append(f"{name} ended")

    async def all_of_them() -> None:
        pause = asyncio.Event()
        tasks = [asyncio.create_task(each) for each in (take("a", "1", pause), take("a", "2"), take("b", "3"))]
        await tasks[2]
        pause.set()
        await asyncio.gather(*tasks)

    asyncio.run(all_of_them())
    assert order == ["1", "3", "3 ended", "1 ended", "2", "2 ended"]
    assert turns._locks == {}
