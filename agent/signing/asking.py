"""The door as commands see it: each act is one question, whoever answers it."""

from __future__ import annotations

import abc
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from agent.collection.dropping import DROPPED
from agent.collection.receiver import Collection
from agent.signing.protocol import (
    Absence,
    Answer,
    Batches,
    Check,
    Configured,
    Delivered,
    Done,
    Event,
    Flush,
    Hello,
    Image,
    Listed,
    Logs,
    LogSize,
    Proof,
    Prove,
    Prune,
    Question,
    Record,
    Refused,
    Rotate,
    Settings,
    Signed,
    Snapshot,
    Welcome,
)
from collectors.contract import Table, header_of
from evidence.errors import FormatError
from evidence.log import Entry
from evidence.statement import Observation

_Answer = TypeVar("_Answer", bound=Answer)


class Door(abc.ABC):
    """What can be signed, whoever holds the key. Every act raises EvidenceError by what went wrong."""

    def __init__(self) -> None:
        self._news: list[str] = []
        self._known: Welcome | None = None
        self._fingerprint: str | None = None

    @abc.abstractmethod
    def ask(self, question: Question, collections: Sequence[Collection] = ()) -> Answer:
        """Return the answer; an error is raised as what it is, and news are kept in either case."""

    def news(self) -> list[str]:
        """Return lines that the store has to say, once; also after an act that failed."""
        told, self._news = self._news, []
        return told

    def hello(self) -> Welcome:
        """Return who signs and how far the log goes now; log and key are made at first use."""
        self._known = self._expect(Welcome, Hello())
        self._fingerprint = self._known.fingerprint
        return self._known

    @property
    def secret(self) -> bytes:
        """Return the secret that keys this host's pseudonyms."""
        return (self._known or self.hello()).secret

    @property
    def machine(self) -> str | None:
        """Return the keyed hash of this machine's id, None if it has none."""
        return (self._known or self.hello()).machine

    @property
    def fingerprint(self) -> str | None:
        """Return the fingerprint of the key that signs, None before the first entry."""
        return self._fingerprint or self.hello().fingerprint

    def snapshot(
        self,
        collections: Sequence[Collection],
        seen: Observation,
        promise: Mapping[str, int | None],
        disabled: Sequence[str] = (),
    ) -> Entry:
        """Sign collections; `promise` says for a table within how many seconds it is read again, if it does.

        `disabled` names tables that the configuration leaves out, which is signed, too.
        Of `seen`, name and machine count for an image only: what the live host is called the signer finds out itself.
        """
        question = Snapshot(
            tables=tuple(each.table.name for each in collections),
            promise=dict(promise),
            reason=seen.reason,
            privileged=seen.privileged,
            labels=seen.labels,
            image=None if seen.observed == "live" else Image(name=seen.name, machine=seen.machine),
            dropped=tuple(name for each in collections for name in _dropped(each.table)),
            disabled=tuple(disabled),
        )
        return self._signed(question, collections)

    def event(
        self,
        kind: str,
        fields: Mapping[str, Any],
        details: Mapping[str, Any],
        seen: Observation | None = None,
        absence: Mapping[str, str] | None = None,
    ) -> Entry:
        """Sign something that happened to the agent or its host: a kind of agent.signing.kinds, with its keys."""
        claimed = None if absence is None else Absence.parse(absence)
        labels = {} if seen is None else seen.labels
        return self._signed(
            Event(kind=kind, fields=dict(fields), details=dict(details), labels=labels, absence=claimed)
        )

    def record(self, kind: str, fields: Mapping[str, str], note: str | None = None, at: str | None = None) -> Entry:
        """Sign what a person or a job says: a kind of agent.signing.records, with its fields as text."""
        return self._signed(Record(kind=kind, fields=dict(fields), note=note, at=at))

    def rotate(self, _seen: Observation | None = None) -> Entry:
        """Make a new key, signed by both, and return the first entry of its log."""
        return self._signed(Rotate())

    def prune(self, before: dt.datetime, _seen: Observation | None = None) -> int:
        """Remove the blobs that only entries before a time need, and return how many."""
        text = before.astimezone(dt.timezone.utc).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
        return self._expect(Done, Prune(before=text)).count

    def check(self, _seen: Observation | None = None) -> int:
        """Compare everything with its hash, and return how many events record what was found."""
        return self._expect(Done, Check()).count

    def batches(self, log: str | None = None, first: int | None = None) -> int:
        """Write to the outbox what no batch holds yet, or once more all from an entry on; return how many batches."""
        return self._expect(Done, Batches(log=log, first=first)).count

    def flush(self) -> int:
        """Write to the outbox what is due, and return how many batches."""
        return self._expect(Done, Flush()).count

    def delivered(self, sink: str, batch: str, *, note: bytes | None = None, sha256: str | None = None) -> int:
        """Say that a sink has a batch, and return how many batches left the outbox for it.

        A hub proves it with `note`: the log's checkpoint with the hub's line; others name the file's digest.
        """
        text = None if note is None else note.decode("utf-8", "replace")
        return self._expect(Done, Delivered(sink=sink, batch=batch, note=text, sha256=sha256)).count

    def refused(self, sink: str, batch: str, reason: str, *, note: bytes | None = None) -> None:
        """Say that a sink will not have a batch; `note` is what proves a fork, if it is one."""
        text = None if note is None else note.decode("utf-8", "replace")
        self._expect(Done, Refused(sink=sink, batch=batch, reason=reason, note=text))

    def prove(self, hub: str, nonce: str) -> Proof:
        """Return the signature with which this log's key enrols at a hub, and how the host came to that key."""
        return self._expect(Proof, Prove(hub=hub, nonce=nonce))

    def logs(self) -> tuple[LogSize, ...]:
        """Return every log and how far it is signed, oldest first."""
        return self._expect(Listed, Logs()).logs

    def settings(self) -> str | None:
        """Return the configuration in force as canonical JSON; None: the files count."""
        return self._expect(Configured, Settings()).settings

    def _signed(self, question: Question, collections: Sequence[Collection] = ()) -> Entry:
        answer = self._expect(Signed, question, collections)
        self._fingerprint = answer.fingerprint
        return Entry(answer.origin, answer.sequence, answer.kind, answer.wall, bytes.fromhex(answer.leaf))

    def _expect(self, kind: type[_Answer], question: Question, collections: Sequence[Collection] = ()) -> _Answer:
        answer = self.ask(question, collections)
        if not isinstance(answer, kind):
            raise FormatError("signer", f"an answer of kind {kind.__name__.lower()}", type(answer).__name__.lower())
        return answer


def _dropped(table: Table) -> Iterator[str]:
    """Yield the columns that the configuration leaves out: the signer's header must say so, too."""
    for each in header_of(table).fields:
        if each.meaning.startswith(DROPPED):
            yield f"{table.name}.{each.name}"
