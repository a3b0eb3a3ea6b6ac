"""What one exchange may take, kept by this process itself: sockets that end when time or bytes are used up.

A timeout of a socket alone begins anew with each byte, so that one byte every 29 seconds would be read for ever.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from agent.delivery.errors import AnswerError, UnreachableError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class Limits(msgspec.Struct, frozen=True):
    """Seconds and bytes of one exchange."""

    connect_s: float = 4.0
    """For one address; the next one is tried after it."""
    connect_all_s: float = 10.0
    """For the name and all its addresses together."""
    read_s: float = 30.0
    total_s: float = 120.0
    answer_bytes: int = 64 << 10
    head_bytes: int = 16 << 10


class Budget:
    """The seconds and the answer's bytes that are left; begins to run when it is made."""

    def __init__(self, where: str, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._where = where
        self._limits = limits
        self._clock = clock
        self._deadline = clock() + limits.total_s
        self._bytes = limits.answer_bytes + limits.head_bytes

    def wait_s(self, at_most: float | None = None) -> float:
        """Return for how many seconds the next operation may block. Raises: UnreachableError if there are none."""
        left = self._deadline - self._clock()
        if left <= 0:
            raise UnreachableError(self._where, f"an answer within {self._limits.total_s:g} s", "none that was whole")
        return min(left, self._limits.read_s if at_most is None else at_most)

    def take(self, count: int) -> None:
        """Count bytes of the answer. Raises: AnswerError when there are more than it may have."""
        self._bytes -= count
        if self._bytes < 0:
            raise AnswerError(self._where, f"an answer of at most {self._limits.answer_bytes} bytes", "a longer one")


class BoundedSocket(socket.socket):
    """A TCP socket under a budget."""

    budget: Budget | None = None

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """Receive as recv(2) does, within the budget."""
        if self.budget is None:
            return super().recv_into(buffer, nbytes, flags)
        self.settimeout(self.budget.wait_s())
        count = super().recv_into(buffer, nbytes, flags)
        self.budget.take(count)
        return count

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send all of the data within the budget."""
        if self.budget is not None:
            self.settimeout(self.budget.wait_s())
        super().sendall(data, flags)


class BoundedTls(ssl.SSLSocket):
    """The same above TLS; bytes are counted as they are after decryption."""

    budget: Budget | None = None

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """Receive as recv(2) does, within the budget."""
        if self.budget is None:
            return super().recv_into(buffer, nbytes, flags)
        self.settimeout(self.budget.wait_s())
        count = super().recv_into(buffer, nbytes, flags)
        self.budget.take(count)
        return count

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send all of the data within the budget."""
        if self.budget is not None:
            self.settimeout(self.budget.wait_s())
        super().sendall(data, flags)
