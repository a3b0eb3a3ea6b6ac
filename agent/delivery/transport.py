"""HTTP as delivery speaks it: one exchange with a deadline, an answer of bounded size, and nothing done unasked.

What a general client does for its user is what must not happen here: no redirect is followed, no .netrc and no
proxy of the environment is read, nothing is decompressed, no cookie is kept (docs/delivery.md). So this is the
standard library's parser over our own bounded sockets.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.message import Message
from types import TracebackType
from typing import Any

import msgspec

from agent.delivery.address import Address
from agent.delivery.budget import BoundedSocket, BoundedTls, Budget, Limits
from agent.delivery.dialling import dial
from agent.delivery.errors import AnswerError, UnreachableError, UntrustedError
from agent.delivery.tls import Trust, context_of, secured, words
from agent.version import VERSION
from program.interrupts import hang_ups_told

_CHUNK = 64 << 10
_HUNG_UP = (ConnectionResetError, BrokenPipeError)


class Answer(msgspec.Struct, frozen=True):
    """What came back: a status, the headers and the body, whole and within the limits."""

    status: int
    headers: Message
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header that stands exactly once, None otherwise: of two that differ neither is to be believed."""
        found = self.headers.get_all(name, [])
        return str(found[0]).strip() if len(found) == 1 else None


class Body(msgspec.Struct, frozen=True):
    """What is sent: its length, and the bytes in blocks. `blocks` is called again when the connection was stale."""

    length: int
    blocks: Callable[[], Iterable[bytes]]


def body_of(data: bytes) -> Body:
    """Return bytes as a body."""
    return Body(len(data), lambda: [data])


class Client:
    """A connection to one address, kept open between exchanges; use it in a `with` block."""

    def __init__(
        self, address: Address, trust: Trust | None = None, proxy: Address | None = None, limits: Limits | None = None
    ) -> None:
        """Raise SettingsError if the files named in `trust` cannot be used."""
        self.address = address
        self._trust = trust or Trust()
        self._proxy = proxy
        self._limits = limits or Limits()
        self._context = context_of(self._trust, address.where) if address.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Client:  # noqa: PYI034  typing.Self is 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        *,
        into: Callable[[bytes], object] | None = None,
        answer_bytes: int | None = None,
        total_s: float | None = None,
    ) -> Answer:
        """Send one request and return its answer.

        `target` is the path and query, as `Address.target` gives it. The answer's body goes to `into`, if that is
        given, and is not kept. Raises: UnreachableError, AnswerError, UntrustedError.
        """
        limits = self._limits
        if answer_bytes is not None:
            limits = msgspec.structs.replace(limits, answer_bytes=answer_bytes)
        if total_s is not None:
            limits = msgspec.structs.replace(limits, total_s=total_s)
        one = _Exchange(self.address.where, Budget(self.address.where, limits), limits, into)
        with hang_ups_told():
            return self._asked(one, method, target, headers or {}, body)

    def _asked(self, one: _Exchange, method: str, target: str, headers: Mapping[str, str], body: Body | None) -> Answer:
        """Ask, and once more if a connection from before turns out to be gone."""
        again = self._connection is not None
        try:
            try:
                return self._on_a_connection(one, method, target, headers, body)
            except _StaleError:
                if not again:  # it hung up on a fresh connection, too
                    raise
            self.close()
            return self._on_a_connection(one, method, target, headers, body)
        except BaseException:
            self.close()
            raise

    def _on_a_connection(
        self, one: _Exchange, method: str, target: str, headers: Mapping[str, str], body: Body | None
    ) -> Answer:
        if self._connection is None:
            self._connection = self._connected(one)
        response = one.ask(self._connection, method, target, self._head(headers, body), body)
        answer = one.hear(response)
        if response.will_close:
            self.close()
        return answer

    def _head(self, headers: Mapping[str, str], body: Body | None) -> dict[str, str]:
        length = {} if body is None else {"Content-Length": str(body.length)}
        own = {"Host": self.address.authority, "User-Agent": f"evidenced/{VERSION}", "Accept-Encoding": "identity"}
        return {**own, **length, **headers}

    def _connected(self, one: _Exchange) -> http.client.HTTPConnection:
        via = self._proxy if self._context is not None else None
        first = via or self.address
        raw = dial(first.host, first.port, one.where, self._limits)
        try:
            raw.budget = one.budget
            if via is not None:
                one.tunnel(raw, self.address.endpoint)
            held = self._secured(raw, one)
        except BaseException:
            raw.close()
            raise
        connection = http.client.HTTPConnection(self.address.host, self.address.port)
        connection.sock = held
        connection.auto_open = 0  # a connection that is not checked is never made behind our back
        return connection

    def _secured(self, raw: BoundedSocket, one: _Exchange) -> BoundedSocket | BoundedTls:
        if self._context is None:
            return raw
        return secured(raw, self._context, self.address.host, one.where, one.budget, self._trust.pins)


class _StaleError(UnreachableError):
    """The connection ended before anything of an answer came."""


class _Exchange:
    """One request and its answer under one budget."""

    def __init__(
        self, where: str, budget: Budget, limits: Limits, into: Callable[[bytes], object] | None = None
    ) -> None:
        self.where = where
        self.budget = budget
        self._limits = limits
        self._into = into

    def ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Body | None,
    ) -> http.client.HTTPResponse:
        """Send the request and return the head of the answer."""
        held: Any = connection.sock  # a BoundedSocket or a BoundedTls, which typeshed cannot know
        held.budget = self.budget
        with self._told():
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            with contextlib.suppress(*_HUNG_UP):  # it may have answered before it had heard everything (413)
                connection.endheaders()
                for block in () if body is None else body.blocks():
                    connection.send(block)
            return connection.getresponse()

    def hear(self, response: http.client.HTTPResponse) -> Answer:
        """Return the answer once all of it has come."""
        held = bytearray()
        into = held.extend if self._into is None else self._into
        left = self._limits.answer_bytes
        with self._told():
            while part := response.read(min(_CHUNK, left + 1)):
                left -= len(part)
                if left < 0:
                    raise AnswerError(
                        self.where, f"an answer of at most {self._limits.answer_bytes} bytes", "a longer one"
                    )
                into(part)
        self._check_whole(response)
        return Answer(response.status, response.headers, bytes(held))

    def _check_whole(self, response: http.client.HTTPResponse) -> None:
        if response.status < http.client.OK:  # the real answer is still to come, and would be taken for the next one
            raise AnswerError(self.where, "a final answer", f"status {response.status}")
        if response.length is None and not response.chunked:
            raise AnswerError(self.where, "an answer that says how long it is", "one that just ends")
        if response.length:  # what http.client still expects
            raise AnswerError(self.where, "a whole answer", f"{response.length} bytes less")
        encoding = response.getheader("content-encoding", "identity")
        if encoding != "identity":
            raise AnswerError(self.where, "an answer as it is", "a compressed one")

    def tunnel(self, raw: BoundedSocket, authority: str) -> None:
        """Have a proxy connect us. RFC 9110, 9.3.6."""
        with self._told():
            raw.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("ascii"))
            response = http.client.HTTPResponse(raw, method="CONNECT")
            try:
                response.begin()
            finally:
                response.close()
        if response.status != http.client.OK:
            raise UnreachableError(
                self.where, "the proxy to connect us", f"status {response.status} of the proxy", "ask whoever runs it"
            )

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Make what sockets and the parser raise one of ours."""
        try:
            yield
        except ssl.SSLError as error:
            if "ALERT" in (error.reason or ""):  # since TLS 1.3 a refused client certificate shows this late
                raise UntrustedError(self.where, "a server that accepts us", words(error)) from None
            raise _StaleError(self.where, "an answer", words(error)) from None
        except http.client.RemoteDisconnected:
            step = "if it speaks TLS, its address begins with https://" if self.where.startswith("http://") else ""
            raise _StaleError(self.where, "an answer", "the end of the connection", step) from None
        except http.client.HTTPException as error:
            raise AnswerError(self.where, "an answer of HTTP", type(error).__name__) from None
        except TimeoutError:
            self.budget.wait_s()  # says so if it is all used up
            raise UnreachableError(self.where, f"an answer within {self._limits.read_s:g} s", "silence") from None
        except _HUNG_UP:
            raise _StaleError(self.where, "an answer", "the end of the connection") from None
        except OSError as error:
            raise UnreachableError(self.where, "an answer", (error.strerror or "an error").lower()) from None
