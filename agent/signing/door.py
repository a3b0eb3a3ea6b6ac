"""The one door for commands that append: the signer's socket where it answers, the store itself where there is none."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from agent.collection.receiver import Collection
from agent.places import Places
from agent.signing.local import LocalDoor
from evidence.log import Entry
from evidence.statement import Observation

WAIT_S = 10.0
"""How long one writer waits for another, or for the signer's answer to begin."""


class Door(Protocol):
    """What can be signed, whoever holds the key. Every act raises EvidenceError by what went wrong."""

    @property
    def secret(self) -> bytes:
        """Return the secret that keys this host's pseudonyms; log and key are made at first use."""

    @property
    def machine(self) -> str | None:
        """Return the keyed hash of this machine's id, None if it has none."""

    @property
    def fingerprint(self) -> str | None:
        """Return the fingerprint of the key that signs, None before the first entry."""

    def news(self) -> list[str]:
        """Return lines that the store has to say, once; also after an act that failed."""

    def snapshot(
        self, collections: Sequence[Collection], seen: Observation, promise: Mapping[str, int | None]
    ) -> Entry:
        """Sign collections; `promise` says for a table within how many seconds it is read again, if it does."""

    def event(
        self,
        kind: str,
        fields: Mapping[str, Any],
        details: Mapping[str, Any],
        seen: Observation | None = None,
        absence: Mapping[str, str] | None = None,
    ) -> Entry:
        """Sign something that happened to the agent or its host: a kind of agent.signing.kinds, with its keys."""

    def record(self, kind: str, fields: Mapping[str, str], note: str | None = None, at: str | None = None) -> Entry:
        """Sign what a person or a job says: a kind of agent.signing.records, with its fields as text."""

    def rotate(self, seen: Observation | None = None) -> Entry:
        """Make a new key, signed by both, and return the first entry of its log."""

    def prune(self, before: dt.datetime, seen: Observation | None = None) -> int:
        """Remove the blobs that only entries before a time need, and return how many."""

    def check(self, seen: Observation | None = None) -> int:
        """Compare everything with its hash, and return how many events record what was found."""

    def close(self) -> None:
        """Give back what is held."""


@contextlib.contextmanager
def open_door(places: Places, wait_s: float = WAIT_S) -> Iterator[Door]:
    """Give the door to these places."""
    door: Door = LocalDoor(places, wait_s)
    try:
        yield door
    finally:
        door.close()
