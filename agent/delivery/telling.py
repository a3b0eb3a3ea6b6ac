"""What the signer is told of a sink: who has which batch, by what proof, and who will not have one.

The signer may be away for as long as it likes: what it does not know yet is told again in the next attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from agent.delivery.outbox import Waiting
from agent.delivery.progress import Progress
from agent.signing.protocol import LogSize
from evidence.accepting import RestoredError
from evidence.errors import EvidenceError, StateError

_REASON_LIMIT = 253


class Signer(Protocol):
    """The part of agent.signing.asking.Door that delivery needs."""

    def delivered(self, sink: str, batch: str, *, note: bytes | None = None, sha256: str | None = None) -> int:
        """Say that a sink has a batch."""

    def refused(self, sink: str, batch: str, reason: str, *, note: bytes | None = None) -> None:
        """Say that a sink will not have a batch."""

    def batches(self, log: str | None = None, first: int | None = None) -> int:
        """Have batches written, once more, from an entry on."""

    def logs(self) -> tuple[LogSize, ...]:
        """Return every log and how far it is signed, oldest first."""


def tell(signer: Signer, sink: str, progress: Progress, reject: Callable[[bytes], object]) -> str | None:
    """Tell the signer what it does not know, and return why it did not believe an acknowledgement, None if it did.

    One that it does not believe is kept aside by `reject`, and its batch counts as not delivered.
    """
    why = None
    try:
        for name, done in list(progress.done.items()):
            if not done.told:
                why = _tell_delivered(signer, sink, name, progress, reject) or why
        for name, parked in list(progress.parked.items()):
            if not parked.told:
                note = None if parked.note is None else parked.note.encode()
                _tell_refused(signer, sink, name, parked.reason, note)
                progress.parked[name] = msgspec.structs.replace(parked, told=True, note=None)
    except StateError:  # it does not answer, or cannot write: nothing is lost
        return why
    return why


def _tell_delivered(
    signer: Signer, sink: str, name: str, progress: Progress, reject: Callable[[bytes], object]
) -> str | None:
    done = progress.done[name]
    try:
        if done.note is None:
            signer.delivered(sink, name, sha256=done.sha256)
        else:
            signer.delivered(sink, name, note=done.note.encode())
    except (StateError, RestoredError) as error:
        if not isinstance(error, RestoredError):
            raise
        # the hub has more of this log than we do: our state was put back, and the signer begins a new epoch
        progress.done[name] = msgspec.structs.replace(done, told=True, note=None)
        return None
    except EvidenceError as error:
        del progress.done[name]
        if done.note is None:  # the signer has put another file in its place meanwhile, which goes the same way
            return None
        reject(done.note.encode())
        return f"{name}: the signer does not accept what acknowledges it: {error}"
    progress.done[name] = msgspec.structs.replace(done, told=True, note=None)
    return None


def _tell_refused(signer: Signer, sink: str, name: str, reason: str, note: bytes | None) -> None:
    try:
        signer.refused(sink, name, reason[:_REASON_LIMIT], note=note)
    except StateError:
        raise
    except EvidenceError:
        return  # it has its own view of that batch; the refusal stands in our status all the same


def forget_gone(progress: Progress, there: list[Waiting]) -> None:
    """Drop what is known of batches that the signer has taken out of the outbox."""
    names = {each.name for each in there}
    for name in set(progress.done) - names:
        del progress.done[name]
    for name in set(progress.parked) - names:
        del progress.parked[name]
