"""The door of a command that writes itself, where there is no signer."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import pwd
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.collection.receiver import Collection
from agent.observing import sealed
from agent.places import Places
from agent.signing.clerk import Clerk
from agent.signing.protocol import Absence
from agent.users import acting_for
from evidence.log import Entry
from evidence.statement import Observation


class LocalDoor:
    """Opens the store for each act and gives it back: the host is read in between, which may take its time."""

    def __init__(self, places: Places, wait_s: float) -> None:
        self._places = places
        self._wait_s = wait_s
        self._secret: bytes | None = None
        self._machine: str | None = None
        self._fingerprint: str | None = None
        self._news: list[str] = []

    def close(self) -> None:
        """Do nothing: nothing is held."""

    @property
    def secret(self) -> bytes:
        """Return the secret that keys this host's pseudonyms; log and key are made at first use."""
        if self._secret is None:
            with self._clerk() as clerk:
                self._secret = clerk.store.secret
                self._machine = clerk.machine
        return self._secret

    @property
    def machine(self) -> str | None:
        """Return the keyed hash of this machine's id, None if it has none."""
        _ = self.secret
        return self._machine

    @property
    def fingerprint(self) -> str | None:
        """Return the fingerprint of the key that signs, None before the first entry."""
        if self._fingerprint is None:
            with self._clerk() as clerk:
                self._fingerprint = clerk.store.fingerprint
        return self._fingerprint

    def news(self) -> list[str]:
        """Return lines that the store has to say, once."""
        told, self._news = self._news, []
        return told

    def snapshot(
        self, collections: Sequence[Collection], seen: Observation, promise: Mapping[str, int | None]
    ) -> Entry:
        """Sign collections. Raises: EvidenceError by what went wrong."""
        collected = [sealed(each, promise.get(each.table.name)) for each in collections]
        with self._clerk() as clerk:
            return clerk.snapshot(collected, seen)

    def event(
        self,
        kind: str,
        fields: Mapping[str, Any],
        details: Mapping[str, Any],
        seen: Observation | None = None,
        absence: Mapping[str, str] | None = None,
    ) -> Entry:
        """Sign something that happened. Raises: FormatError on a kind that is not known, or not so."""
        labels = {} if seen is None else seen.labels
        claimed = None if absence is None else Absence.parse(absence)
        with self._clerk() as clerk:
            return clerk.event(kind, fields, details, labels, claimed)

    def record(self, kind: str, fields: Mapping[str, str], note: str | None = None, at: str | None = None) -> Entry:
        """Sign what a person or a job says. Raises: FormatError on a kind or field that is not known, or not so."""
        by = user_words(os.getuid())
        with self._clerk() as clerk:
            return clerk.record(kind, fields, note, at, by)

    def rotate(self, seen: Observation | None = None) -> Entry:
        """Rotate the key and return the first entry of its log."""
        with self._clerk() as clerk:
            return clerk.rotate({} if seen is None else seen.labels)

    def prune(self, before: dt.datetime, seen: Observation | None = None) -> int:
        """Remove blobs past their retention, and return how many."""
        with self._clerk() as clerk:
            return clerk.prune(before, {} if seen is None else seen.labels)

    def check(self, seen: Observation | None = None) -> int:
        """Compare everything with its hash, and return how many events record what was found."""
        with self._clerk() as clerk:
            return len(clerk.check({} if seen is None else seen.labels))

    @contextlib.contextmanager
    def _clerk(self) -> Iterator[Clerk]:
        with acting_for(self._places.state):
            clerk = Clerk(self._places.state, self._wait_s)
            try:
                yield clerk
                self._fingerprint = clerk.store.fingerprint
            finally:
                clerk.close()
                self._news += clerk.news()


def user_words(uid: int) -> dict[str, Any]:
    """Return who that is, for the details of a record."""
    try:
        return {"name": pwd.getpwuid(uid).pw_name, "uid": uid}
    except KeyError:
        return {"name": None, "uid": uid}
