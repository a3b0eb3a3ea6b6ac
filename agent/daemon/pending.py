"""Events that wait to be signed with the next run, in the words that `_collect` takes."""

from __future__ import annotations

MOST = 24


class Pending:
    """A short list: what comes again and again is folded into one."""

    def __init__(self) -> None:
        self._events: list[tuple[str, str, str]] = []
        self.due: float = float("inf")
        """When they are to be signed even if no table is read."""

    def __bool__(self) -> bool:
        return bool(self._events)

    def add(self, kind: str, first: str = "", last: str = "", *, due: float) -> None:
        """Add an event with what it says, of which the first part is of its beginning and the last of its end."""
        same = [number for number, each in enumerate(self._events) if each[0] == kind]
        if same and (kind != "suspended" or len(self._events) >= MOST):
            number = same[-1]
            self._events[number] = (kind, self._events[number][1], last)
        else:
            self._events.append((kind, first, last))
        self.due = min(self.due, due)

    def words(self) -> tuple[str, ...]:
        """Return the events as `--event` takes them, oldest first."""
        return tuple(":".join(part for part in each if part) for each in self._events)

    def signed(self, count: int) -> None:
        """Forget the oldest, which are in the log now."""
        del self._events[:count]
        if not self._events:
            self.due = float("inf")
