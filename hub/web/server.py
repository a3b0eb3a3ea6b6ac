"""Serving: the socket, TLS, and an end that lets what was begun finish."""

from __future__ import annotations

import logging
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn

from evidence.errors import StateError
from hub.service import Hub
from hub.web.access_log import AccessLog
from hub.web.app import Application, application
from hub.web.protocol import protocol

_BACKLOG = 1024
_GRACE_S = 10


@dataclass(frozen=True)
class Tls:
    """Files of the server's certificate and key; with `client_ca` clients must show one that it issued."""

    certificate: str
    key: str
    client_ca: str | None = None

    def context(self) -> ssl.SSLContext:
        """Return TLS 1.2 or later with these. Raises: StateError; it never shows a byte of the files."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise StateError(f"{self.certificate}, {self.key}", "a certificate and its key", _words(error)) from None
        if self.client_ca is not None:
            try:
                context.load_verify_locations(self.client_ca)
            except (OSError, ssl.SSLError) as error:
                raise StateError(self.client_ca, "certificates of an authority", _words(error)) from None
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _words(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return (reason or error.strerror or "other data").lower().replace("_", " ")


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises: StateError."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, number)
    except OSError as error:
        raise StateError(
            f"--listen {host}:{port}", "an address of this host", (error.strerror or "none").lower()
        ) from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        found = (error.strerror or "an error").lower()
        step = "choose another, or stop what listens there: ss -ltnp"
        raise StateError(f"--listen {host}:{port}", "an address to listen on", found, step) from None
    return listening


def serve(hub: Hub, listening: socket.socket, tls: Tls | None, log: AccessLog, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; then let the requests that were begun end, for 10 s at most."""
    context = None if tls is None else tls.context()
    app = Application(hub)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # the access log tells what is to be told
    config = uvicorn.Config(
        application(app, hub, log),
        http=protocol(hub.limits, log),
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=int(hub.limits.idle_s),
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=hub.limits.max_head,
    )
    config.load()
    config.ssl = context  # ours, since uvicorn's own cannot say which TLS is the oldest
    server = _Server(config, ready)
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(each) != signal.SIG_IGN:  # nohup(1) has one ignored
            signal.signal(each, server.heed)
    try:
        server.run(sockets=[listening])
    finally:
        app.close()
        listening.close()


class _Server(uvicorn.Server):
    """uvicorn's server that says when it takes connections."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take connections."""
        await super().startup(sockets)
        self._ready()

    def heed(self, _number: int, _frame: object) -> None:
        """End when it can; nothing may be raised here, since asyncio takes that for a defect of what it runs.

        uvicorn itself heeds SIGTERM and SIGINT while it serves, and raises them again when it has ended.
        """
        self.should_exit = True
