"""Turns: requests about one log follow each other, those about different logs do not wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Turns:
    """One lock for each log that is in use just now."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def of(self, log_id: str) -> AsyncIterator[None]:
        """Wait for the turn of a log."""
        lock, waiting = self._locks.get(log_id, (asyncio.Lock(), 0))
        self._locks[log_id] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._locks.pop(log_id)
            if waiting > 1:
                self._locks[log_id] = (lock, waiting - 1)
