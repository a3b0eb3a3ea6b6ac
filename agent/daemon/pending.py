"""Events that wait to be signed with the next run, in the words that `_collect` takes."""

from __future__ import annotations

MOST = 24
EACH = frozenset({"suspended", "table-stuck", "watches-degraded"})
"""Kinds of which two that begin otherwise are two events."""


class Pending:
    """A short list: what comes again and again is folded into one."""

    def __init__(self) -> None:
        self._events: list[tuple[str, str, str]] = []
        self._given = 0
        self.due: float = float("inf")
        """When they are to be signed even if no table is read."""

    def __bool__(self) -> bool:
        return bool(self._events)

    def add(self, kind: str, first: str = "", last: str = "", *, due: float) -> None:
        """Add an event with what it says, of which the first part is of its beginning and the last of its end."""
        free = range(self._given, len(self._events))
        same = [number for number in free if self._is_same(number, kind, first)]
        if not same and len(self._events) >= MOST:
            same = [number for number in free if self._events[number][0] == kind]
        if same:
            self._events[same[-1]] = (kind, self._events[same[-1]][1], last)
        else:
            self._events.append((kind, first, last))
        self.due = min(self.due, due)

    def _is_same(self, number: int, kind: str, first: str) -> bool:
        known = self._events[number]
        return known[0] == kind and (kind not in EACH or known[1] == first)

    def given(self, count: int) -> None:
        """Leave the oldest as they are while a run signs them: what comes now is not in its words. 0: it ended."""
        self._given = count

    def words(self) -> tuple[str, ...]:
        """Return the events as `--event` takes them, oldest first."""
        return tuple(":".join(part for part in each if part) for each in self._events)

    def signed(self, count: int) -> None:
        """Forget the oldest, which are in the log now."""
        del self._events[:count]
        self._given = max(0, self._given - count)
        if not self._events:
            self.due = float("inf")
