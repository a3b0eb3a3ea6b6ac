"""One poll over whatever is there to be waited for."""

from __future__ import annotations

import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Waiting:
    """Keeps poll(2) in step with what is wanted."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._known: set[int] = set()

    def wait(self, wanted: set[int]) -> set[int]:
        """Wait until one of these descriptors has something to say, and return those that have."""
        self.forget(self._known - wanted)
        for fd in wanted - self._known:
            self._poll.register(fd, select.POLLIN)
        self._known = wanted
        return {fd for fd, _ in self._poll.poll()}

    def forget(self, fds: Iterable[int]) -> None:
        """Leave descriptors out; to be called before one is closed, since its number may come again."""
        for fd in self._known.intersection(fds):
            self._poll.unregister(fd)
        self._known = self._known.difference(fds)
