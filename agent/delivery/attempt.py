"""One attempt: every sink that is due gets what it lacks, each for itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import msgspec

from agent.configuration.model import Hub
from agent.delivery.budget import Limits
from agent.delivery.moment import Moment, real
from agent.delivery.one_sink import OneSink, Outcome
from agent.delivery.opening import AnySink, Surroundings, open_sink
from agent.delivery.progress import records
from agent.places import Places
from agent.signing.asking import Door
from agent.signing.door import open_door
from agent.signing.protocol import Answer, Question
from evidence.errors import EvidenceError, StateError


class Way(msgspec.Struct, frozen=True):
    """How an attempt is made; tests bring shorter limits and other clocks."""

    rate: int
    by_hand: bool = False
    wait_s: float = 0.0
    """How long to wait for another attempt to end."""
    limits: Limits = msgspec.field(default_factory=Limits)
    moment: Moment | None = None
    config: str | None = None
    """The configuration file, for a signer that is this process itself."""


def attempt(places: Places, sinks: Sequence[AnySink], way: Way, say: Callable[[str], object]) -> list[Outcome]:
    """Deliver to each sink what it lacks, and return what became of it.

    `say` takes what is worth a line in the journal. Raises: BusyError while another attempt is being made, StateError.
    """
    moment = way.moment or real()
    with records(places.upload, way.wait_s) as kept, _door(places, way.config) as door:
        kept.forget_others({each.name for each in sinks})
        around = Surroundings(records=kept, prove=door.prove, limits=way.limits, rate=way.rate)
        return [
            _one(
                each,
                OneSink(each.name, places.outbox, kept, door, moment, say, in_order=isinstance(each, Hub)),
                around,
                way,
            )
            for each in sinks
        ]


def _one(settings: AnySink, sink: OneSink, around: Surroundings, way: Way) -> Outcome:
    return sink.run(lambda piece: open_sink(settings, around, piece), by_hand=way.by_hand)


@contextlib.contextmanager
def _door(places: Places, config: str | None) -> Iterator[Door]:
    """Give the door to the signer; if it is shut, one behind which nobody answers: what can be delivered is."""
    with contextlib.ExitStack() as stack:
        try:
            door: Door = stack.enter_context(open_door(places, config=config))
        except EvidenceError as error:
            door = _ShutDoor(str(error))
        yield door


class _ShutDoor(Door):
    def __init__(self, why: str) -> None:
        super().__init__()
        self._why = why

    def ask(self, _question: Question, _collections: Sequence[object] = ()) -> Answer:
        raise StateError("signer", "to be heard", self._why)
