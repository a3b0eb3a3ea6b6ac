"""A sink that plays a part, and a stand on which it is tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agent.delivery.one_sink import OneSink, Outcome
from agent.delivery.outbox import Outgoing
from agent.delivery.progress import records
from agent.delivery.results import Delivered, Result
from tests.agent.delivery.batches import Clock, Host, Told, cosigned

Answer = Result | Exception | Callable[[Outgoing], Result]


@dataclass
class Playing:
    """A sink that does what it is told, the last of it for ever."""

    script: list[Answer]
    seen: list[str] = field(default_factory=list)
    name: str = "hub"
    closed: bool = False
    asked: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    mute: Exception | None = None
    """What is the answer to every question for a size."""

    def deliver(self, batch: Outgoing) -> Result:
        self.seen.append(batch.name)
        answer = self.script[0] if len(self.script) == 1 else self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(batch) if callable(answer) else answer

    def size_of(self, log_id: str) -> int | None:
        self.asked.append(log_id)
        if self.mute is not None:
            raise self.mute
        return self.sizes.get(log_id)

    def enrol(self) -> str | None:
        return "there is no token"

    def close(self) -> None:
        self.closed = True


def acknowledges(batch: Outgoing) -> Result:
    return Delivered(cosigned(batch))


@dataclass
class Stand:
    """A host, its signer, a clock, and one sink that is tried."""

    host: Host
    folder: Path
    signer: Told
    clock: Clock
    said: list[str] = field(default_factory=list)

    def attempt(self, *script: Answer, by_hand: bool = False, in_order: bool = True) -> tuple[Outcome, list[str]]:
        sink = Playing(list(script))
        return self.deliver_to(sink, by_hand=by_hand, in_order=in_order), sink.seen

    def deliver_to(self, sink: Playing, *, by_hand: bool = False, in_order: bool = True) -> Outcome:
        with self.one(in_order=in_order) as one:
            return one.run(lambda _piece: sink, by_hand=by_hand)

    @contextmanager
    def one(self, *, in_order: bool = True) -> Iterator[OneSink]:
        with records(str(self.folder), 0) as kept:
            yield OneSink(
                "hub",
                str(self.host.outbox),
                kept,
                self.signer,
                self.clock.moment(),
                self.said.append,
                in_order=in_order,
            )
