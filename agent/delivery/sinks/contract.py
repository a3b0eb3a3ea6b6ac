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
