"""What is done at an open store, whoever asks: the one code behind both doors.

What a live host is called and which machine it is, the clerk finds out itself and takes nobody's word for it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agent.news import news_of
from agent.observing import Target, now, observation
from agent.signing import kinds, records
from agent.signing.absence import gone_since, last_of_agent, within
from agent.signing.protocol import Absence
from evidence.errors import EvidenceError
from evidence.keys import PublicKey
from evidence.log import Entry, EvidenceStore
from evidence.reader import StoreReader
from evidence.statement import Collected, Observation

STARTED = "agent-started"


class Clerk:
    """A state folder that is opened when it is first needed; `close` gives it back."""

    def __init__(self, state: str, wait_s: float) -> None:
        self._state = state
        self._wait_s = wait_s
        self._store: EvidenceStore | None = None
        self._machine: str | None = None
        self._told = 0
        self._news: list[str] = []

    @property
    def state(self) -> str:
        """Return the path of the state folder."""
        return self._state

    @property
    def store(self) -> EvidenceStore:
        """Return the open store; it is made at first use. Raises: StateError and its children."""
        if self._store is None:
            self._store = self._opened()
        return self._store

    @property
    def machine(self) -> str | None:
        """Return the keyed hash of this machine's id, as statements carry it."""
        return self._machine

    @property
    def busy(self) -> bool:
        """Return whether the store is open."""
        return self._store is not None

    def close(self) -> None:
        """Give the store back."""
        self._hear()
        store, self._store, self._told = self._store, None, 0
        if store is not None:
            store.close()

    def news(self) -> list[str]:
        """Return what the store has to say that was not told before."""
        self._hear()
        told, self._news = self._news, []
        return told

    def say(self, line: str) -> None:
        """Have something told with the next answer."""
        self._news.append(line)

    def here(self, labels: Mapping[str, str]) -> Observation:
        """Return this host as it is observed now."""
        seen = observation(Target("/", self.store.secret), dict(labels))
        self._machine = seen.machine
        return seen

    def snapshot(self, collected: Sequence[Collected], seen: Observation) -> Entry:
        """Sign collections; of a live host, name and machine are those that are found here."""
        here = self.here(seen.labels)
        if seen.observed == "live":
            seen = msgspec.structs.replace(seen, name=here.name, machine=here.machine, version=here.version)
        return self.store.append_snapshot(collected, seen)

    def event(
        self,
        kind: str,
        fields: Mapping[str, Any],
        details: Mapping[str, Any],
        labels: Mapping[str, str],
        absence: Absence | None = None,
    ) -> Entry:
        """Sign something that happened to the agent or its host. Raises: FormatError, and what the store raises."""
        kinds.check_event(kind, fields, absence)
        here = self.here(labels)
        gone = self._absence(kind, absence)
        return self.store.append_event(kind, fields, details, here, gone)

    def trimmed(self, fields: Mapping[str, Any], details: Mapping[str, Any]) -> Entry:
        """Sign that blobs left the outbox undelivered."""
        return self.store.append_event(kinds.TRIMMED, fields, details, self.here({}))

    def record(self, kind: str, fields: Mapping[str, str], note: str | None, at: str | None, by: Any) -> Entry:
        """Sign what a person or a job says; `by` is who the kernel says it is. Raises: FormatError."""
        stated, free = records.checked(kind, fields, at)
        details = {**free, "recorded_by": by, **({} if note is None else {"note": note})}
        return self.store.append_event(kind, stated, details, self.here({}))

    def rotate(self, labels: Mapping[str, str]) -> Entry:
        """Rotate the key."""
        return self.store.rotate(self.here(labels))

    def prune(self, before: dt.datetime, labels: Mapping[str, str]) -> int:
        """Remove blobs past their retention, and return how many."""
        return self.store.prune(before, self.here(labels))

    def check(self, labels: Mapping[str, str]) -> list[Entry]:
        """Compare everything with its hash, and return the events that record what was found."""
        return self.store.check(self.here(labels))

    def prove(self, hub: str, nonce: str) -> tuple[str, PublicKey, str]:
        """Return the log's origin, its key, and the signature with which it enrols at a hub."""
        return self.store.prove(hub, nonce, self.here({}))

    def _absence(self, kind: str, claimed: Absence | None) -> dict[str, str] | None:
        """Return the absence an event carries: the agent's own is derived, and none goes back past what was signed."""
        if kind != STARTED and claimed is None:
            return None
        with StoreReader(self._state) as reader:
            if claimed is None:
                return gone_since(reader, now())
            return within(claimed, last_of_agent(reader), now())

    def _opened(self) -> EvidenceStore:
        """Open the store as this machine's; which that is can be said once there is a secret to hash its id with."""
        secret = self._secret()
        while True:
            self._machine = None if secret is None else observation(Target("/", secret), {}).machine
            store = EvidenceStore.open(self._state, machine=self._machine, clock=now, wait_s=self._wait_s)
            known, secret = secret, store.secret
            if known == secret:
                return store
            store.close()  # made, or mended, just now

    def _secret(self) -> bytes | None:
        with contextlib.suppress(EvidenceError, OSError), StoreReader(self._state) as reader:
            return reader.secret()
        return None

    def _hear(self) -> None:
        if self._store is not None:
            events = self._store.events[self._told :]
            self._told += len(events)
            self._news += news_of(events, self._store.fingerprint, self._state)
