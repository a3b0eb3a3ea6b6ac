"""A small host with real batches, a signer that remembers what it is told, and clocks that tests turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agent.delivery import outbox
from agent.delivery.moment import Moment
from agent.delivery.outbox import Outgoing
from agent.signing.protocol import LogSize
from evidence import note
from evidence.errors import EvidenceError, StateError
from evidence.keys import NOTE_COSIGNATURE, PrivateKey
from evidence.log import EvidenceStore
from evidence.note import Checkpoint, Verifier
from evidence.order import id_of
from tests.evidence.store_parts import SEEN, table, ticking

HUB_NAME = "hub.example"
HUB_KEY = PrivateKey(bytes(range(32)))
HUB = Verifier(HUB_NAME, HUB_KEY.public, NOTE_COSIGNATURE)
NOW = 1_767_225_600


@dataclass
class Host:
    """A state and an outbox."""

    state: Path
    outbox: Path
    log_id: str = ""
    rows: int = 0

    def sign(self, count: int = 1) -> None:
        """Sign snapshots, each with rows of its own."""
        with self.store() as store:
            self._sign(store, count)

    def _sign(self, store: EvidenceStore, count: int) -> None:
        for _ in range(count):
            self.rows += 1
            row = f'{{"name":"user-{self.rows}"}}'.encode()
            self.log_id = id_of(store.append_snapshot([table("users", row)], SEEN).origin)

    def begin(self, batches: int) -> None:
        """Sign and write so many batches of two entries each, in one go."""
        self.outbox.mkdir(parents=True)
        with self.store() as store:
            self._sign(store, 2 * batches - 1)  # the first entry is the log's own
            for at in range(0, 2 * batches, 2):
                store.write_batch(str(self.outbox), self.log_id, at, size=at + 2)

    def write(self, first: int, size: int | None = None) -> str:
        """Write a batch into the outbox and return its name."""
        self.outbox.mkdir(exist_ok=True)
        with self.store() as store:
            return store.write_batch(str(self.outbox), self.log_id, first, size=size, overwrite=True).name

    def store(self) -> EvidenceStore:
        return EvidenceStore.open(str(self.state), machine="aa" * 32, clock=ticking())

    def names(self) -> list[str]:
        return [each.name for each in outbox.waiting(str(self.outbox))]

    @contextmanager
    def opened(self, name: str | None = None) -> Iterator[Outgoing]:
        there = outbox.waiting(str(self.outbox))
        with outbox.opened(next(each for each in there if name in (None, each.name))) as batch:
            yield batch


def host(folder: Path, batches: int = 1) -> Host:
    """Return a host with so many batches of two entries each."""
    made = Host(folder / "state", folder / "outbox")
    made.begin(batches)
    return made


def cosigned(batch: Outgoing, key: PrivateKey = HUB_KEY, name: str = HUB_NAME) -> bytes:
    """Return the acknowledgement of a batch."""
    return batch.head.note.with_line(note.cosign(batch.head.note.text, name, key, NOW)).encode()


def size_in(data: bytes) -> int:
    return Checkpoint.parse(note.parse(data).text).size


@dataclass
class Told:
    """A signer that remembers; `away` makes it one that does not answer."""

    host: Host | None = None
    delivered_to: list[tuple[str, str, int | str | None]] = field(default_factory=list)
    refusals: list[tuple[str, str, str, bytes | None]] = field(default_factory=list)
    rewritten: list[tuple[str | None, int | None]] = field(default_factory=list)
    away: bool = False
    disbelieves: EvidenceError | None = None
    cannot_write: EvidenceError | None = None
    removes: bool = False
    others: list[LogSize] = field(default_factory=list)
    """Logs that it says there are."""

    def delivered(self, sink: str, batch: str, *, note: bytes | None = None, sha256: str | None = None) -> int:
        self._answer()
        if self.disbelieves is not None:
            raise self.disbelieves
        self.delivered_to.append((sink, batch, sha256 if note is None else size_in(note)))
        if self.removes and self.host is not None:
            (self.host.outbox / batch).unlink(missing_ok=True)
        return 1

    def refused(self, sink: str, batch: str, reason: str, *, note: bytes | None = None) -> None:
        self._answer()
        self.refusals.append((sink, batch, reason, note))

    def batches(self, log: str | None = None, first: int | None = None) -> int:
        self._answer()
        if first is None:
            return 0
        self.rewritten.append((log, first))
        if self.cannot_write is not None:
            raise self.cannot_write
        if self.host is None or log != self.host.log_id:
            return 0
        self.host.write(first)
        return 1

    def logs(self) -> tuple[LogSize, ...]:
        self._answer()
        return tuple(self.others)

    def _answer(self) -> None:
        if self.away:
            raise StateError("signer", "an answer", "none")


@dataclass
class Clock:
    """Time that passes when a test says so."""

    seconds: float = 1000.0
    boot: str = "this"
    wall: float = NOW

    def moment(self) -> Moment:
        return Moment(self.boot, lambda: int(self.seconds * 1000), lambda: self.wall, lambda _low, high: high)

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall += seconds
