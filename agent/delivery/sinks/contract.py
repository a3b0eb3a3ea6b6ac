"""What a sink is: it takes a batch and says what became of it. It knows no other sink and keeps no progress."""

from __future__ import annotations

from typing import Protocol

from agent.delivery.outbox import Outgoing
from agent.delivery.results import Result


class Sink(Protocol):
    """One place where batches go."""

    name: str

    def deliver(self, batch: Outgoing) -> Result:
        """Try once. Raises: DeliveryError, which says by its kind whether it is tried again or held; OSError."""

    def close(self) -> None:
        """Hang up."""


class HubLike(Sink, Protocol):
    """A sink that knows logs: it can be asked how far it has one, and takes those of keys that it knows."""

    def size_of(self, log_id: str) -> int | None:
        """Return how many entries of a log it acknowledges, None if it has none of it. Raises: DeliveryError."""

    def enrol(self) -> str | None:
        """Make the key that signs now known; return why that was not possible, None if it was."""
