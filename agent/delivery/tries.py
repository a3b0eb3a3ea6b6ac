"""Which files were tried in an attempt, so that none is tried again where nothing has changed."""

from __future__ import annotations

from agent.delivery.outbox import Waiting

MOST = 3
"""Files of one name in an attempt: the signer may put another one in its place, but not for ever."""


class Tries:
    """The files that one attempt has taken, by name and stamp."""

    def __init__(self) -> None:
        self._taken: dict[str, dict[str, list[str]]] = {}
        """By log and name: its stamps."""

    def take(self, batch: Waiting) -> None:
        """Remember that a file is tried now."""
        self._stamps(batch).append(batch.stamp)

    def may(self, batch: Waiting) -> bool:
        """Return whether a file can be tried: it was not yet, or something has changed since."""
        stamps = self._stamps(batch)
        return batch.stamp not in stamps and len(stamps) < MOST

    def again(self, log_id: str) -> None:
        """Let what is of a log be tried once more: the hub is in another state than it was."""
        self._taken.pop(log_id, None)

    def _stamps(self, batch: Waiting) -> list[str]:
        return self._taken.setdefault(batch.place.log_id, {}).setdefault(batch.name, [])
