"""What became of a batch at a sink."""

from __future__ import annotations

from dataclasses import dataclass

TOO_LARGE = "too-large"
"""With this word a reason begins that smaller batches would meet: the signer then writes the entries in two."""


@dataclass(frozen=True)
class Delivered:
    """The sink has it: a hub's note that says so, or None where the bytes themselves were compared."""

    note: bytes | None = None


@dataclass(frozen=True)
class Retry:
    """Not now; `after_s` if the sink asked for that much patience."""

    reason: str
    after_s: float | None = None


@dataclass(frozen=True)
class Held:
    """Not this sink, until somebody has looked; it is asked again all the same."""

    reason: str
    log_only: bool = False
    """Other logs may pass."""


@dataclass(frozen=True)
class Parked:
    """Not this batch; the log is intact. `note` is what a hub showed as proof of another history."""

    reason: str
    note: str | None = None


@dataclass(frozen=True)
class Behind:
    """The hub stands at `size`, in front of where the batch begins: what follows that size is to be sent first."""

    size: int


Result = Delivered | Retry | Held | Parked | Behind
