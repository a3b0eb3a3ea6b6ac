"""The bytes of a batch at no more than so many a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from agent.delivery.outbox import Outgoing
from agent.delivery.transport import Body

_BLOCK = 64 << 10
_BLOCKS_A_SECOND = 4


class Pace:
    """What is allowed in a second, over all bodies that are sent at it."""

    def __init__(
        self, rate: int, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self.rate = rate
        self._clock = clock
        self._sleep = sleep
        self._free_at = clock()

    def body(self, batch: Outgoing, start: int = 0, stop: int | None = None) -> Body:
        """Return the bytes of a batch, or some of them, as a body that is sent at this pace."""
        stop = batch.size if stop is None else stop
        step = max(1, min(_BLOCK, self.rate // _BLOCKS_A_SECOND))
        return Body(stop - start, lambda: self._paced(batch.blocks(start, stop, step)))

    def seconds(self, count: int) -> float:
        """Return how long so many bytes take."""
        return count / self.rate

    def _paced(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            now = self._clock()
            if self._free_at > now:
                self._sleep(self._free_at - now)
            self._free_at = max(now, self._free_at) + self.seconds(len(block))
            yield block
