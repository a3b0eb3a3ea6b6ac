"""What became of a batch at a sink."""

from __future__ import annotations

import msgspec

TOO_LARGE = "too-large"
"""With this word a reason begins that smaller batches would meet: the signer then writes the entries in two."""


class Delivered(msgspec.Struct, frozen=True):
    """The sink has it: a hub's note that says so, or None where the bytes themselves were compared."""

    note: bytes | None = None


class Retry(msgspec.Struct, frozen=True):
    """Not now; `after_s` if the sink asked for that much patience."""

    reason: str
    after_s: float | None = None


class Held(msgspec.Struct, frozen=True):
    """Not this sink, until somebody has looked; it is asked again all the same."""

    reason: str


class Parked(msgspec.Struct, frozen=True):
    """Not this batch; the log is intact. `note` is what a hub showed as proof of another history."""

    reason: str
    note: str | None = None


class Behind(msgspec.Struct, frozen=True):
    """The hub stands at `size`, in front of where the batch begins: what follows that size is to be sent first."""

    size: int


class Unknown(msgspec.Struct, frozen=True):
    """The hub does not know the key of the batch's log; other logs may pass."""

    reason: str


Result = Delivered | Retry | Held | Parked | Behind | Unknown
