"""A server that says exactly what a test wants, by hand over a socket: N1 to N10 of the faults a network has."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Script = Callable[[socket.socket, "Heard"], None]


@dataclass
class Heard:
    """One request as it arrived."""

    head: bytes
    body: bytes = b""

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode()

    def header(self, name: str) -> str | None:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None


@dataclass
class Hostile:
    """A listening server on loopback; `answers` are used up one for each request, the last one for ever."""

    answers: list[Script]
    context: ssl.SSLContext | None = None
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._serving = threading.Thread(target=self._serve, daemon=True)
        self._serving.start()

    @property
    def url(self) -> str:
        return f"{'http' if self.context is None else 'https'}://127.0.0.1:{self.port}"

    def close(self) -> None:
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in (self._serving, *self._threads):
            thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._talk, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            while (heard := _request(connection)) is not None:
                self.heard.append(heard)
                script = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
                script(connection, heard)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


@contextlib.contextmanager
def hostile(*answers: Script, context: ssl.SSLContext | None = None) -> Iterator[Hostile]:
    """Serve, and be gone afterwards."""
    server = Hostile(list(answers), context)
    try:
        yield server
    finally:
        server.close()


def _request(connection: socket.socket) -> Heard | None:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    heard = Heard(head)
    length = int(heard.header("content-length") or 0)
    while len(body) < length:
        part = connection.recv(65536)
        if not part:
            return None
        body += part
    heard.body = body
    return heard


def says(text: bytes) -> Script:
    """Send these bytes and keep the connection."""
    return lambda connection, _heard: connection.sendall(text)


def ends(text: bytes = b"") -> Script:
    """Send these bytes and hang up."""

    def script(connection: socket.socket, _heard: Heard) -> None:
        connection.sendall(text)
        raise ConnectionError

    return script


def answers(status: int, body: bytes = b"", *headers: str) -> Script:
    """Answer as a well-behaved server does."""
    head = [f"HTTP/1.1 {status} Text", f"Content-Length: {len(body)}", *headers]
    return says("\r\n".join(head).encode() + b"\r\n\r\n" + body)


def drips(text: bytes, pause_s: float) -> Script:
    """Send one byte after the other, slowly, for as long as anyone listens."""

    def script(connection: socket.socket, _heard: Heard) -> None:
        pause = threading.Event()
        for each in text:
            connection.sendall(bytes([each]))
            pause.wait(pause_s)

    return script


def floods(head: bytes, block: bytes) -> Script:
    """Send without end."""

    def script(connection: socket.socket, _heard: Heard) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(block)

    return script


def is_silent(connection: socket.socket, _heard: Heard) -> None:
    """Say nothing until the other side hangs up."""
    connection.recv(1)
