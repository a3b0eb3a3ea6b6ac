"""All children that run now: heard when they say something, ended when they take too long, never waited for."""

from __future__ import annotations

from agent.daemon import children
from agent.daemon.children import Child, Order
from agent.daemon.saying import say
from agent.daemon.waiting import Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

STUCK = -1
"""In place of an exit code: it was killed and does not end."""


class Family:
    """Whoever starts a child says who is told of its lines and of its end."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._told: dict[int, Callable[[Child, int, float], None]] = {}
        self.members: list[Child] = []

    @property
    def fds(self) -> set[int]:
        """Return what is to be waited for."""
        talking = {each.pipe for each in self.members if not each.silent}
        return talking.union(each.pidfd for each in self.members)

    @property
    def next_time(self) -> float:
        """Return when one of them had its time."""
        return min((each.next_time() for each in self.members), default=float("inf"))

    @property
    def purposes(self) -> set[str]:
        """Return what they are for."""
        return {each.order.purpose for each in self.members}

    def start(self, order: Order, now: float, ended: Callable[[Child, int, float], None]) -> Child | None:
        """Start a child, or say why not; `ended` gets it with its exit code, or STUCK, and the time."""
        try:
            child = children.start(order, now)
        except OSError as error:  # no processes, descriptors or memory: as if it had ended at once
            say(f"{order.purpose}: could not be started: {(error.strerror or 'an error').lower()}")
            return None
        self.members.append(child)
        self._told[child.pid] = ended
        return child

    def hear(self, ready: set[int], now: float) -> None:
        """Take what children have said, and tell of those that ended."""
        for child in list(self.members):
            if child.pidfd in ready or child.pipe in ready:
                code = child.status()  # asked first: what it said before it ended is then all in the pipe
                child.hear(now)
                if code is not None:
                    self._part(child, code, now)

    def tend(self, now: float) -> None:
        """End those that had their time; leave those behind that were killed and do not end."""
        for child in list(self.members):
            if child.overdue(now) and child.killed_at is None:
                say(f"{child.order.purpose}: expected its end within {child.order.limit_s:g} s, found none; killed")
                child.kill(now)
            elif child.overdue(now):
                say(f"{child.order.purpose}: process {child.pid} hangs in the kernel and was left behind")
                self._part(child, STUCK, now)

    def _part(self, child: Child, code: int, now: float) -> None:
        self.members.remove(child)
        self._waiting.forget((child.pidfd, child.pipe))
        child.close()
        self._told.pop(child.pid)(child, code, now)
