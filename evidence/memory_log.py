"""A log that lives as long as the process: its key is made with it, is on no disk, and is gone with it.

It is what a pack is written from where nothing may be left on the host. Statements, envelopes and checkpoints are
those of the store; that the key was in memory only is signed in the first entry (`why`), and said in the pack
(`protection`). Blobs are kept compressed, each of 64 MiB at most.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

import msgspec

from evidence import dsse, note, sshsig, statement, tree
from evidence.blobs import MAX_BYTES, deflated, digest
from evidence.errors import LimitError, StateError
from evidence.keys import PrivateKey, PublicKey
from evidence.note import Checkpoint
from evidence.order import origin_of
from evidence.pack_source import Protection
from evidence.receipts import Cosigned
from evidence.statement import Clock, Collected, Context, Observation

WHY = "one-shot"
"""What the first entry says: a key for one run, that nobody will have signed with before or after it."""


class MemoryEntry(msgspec.Struct, frozen=True):
    """One entry; nothing takes any of them away."""

    sequence: int
    envelope: bytes
    payload: bytes


class MemoryLog:
    """One log, which is begun when this is made; a `PackSource`."""

    def __init__(
        self, observation: Observation, clock: Callable[[], Clock], entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._key = PrivateKey.generate(entropy)
        self._clock = clock
        self._entries: list[MemoryEntry] = []
        self._blobs: dict[str, bytes] = {}
        self.id = f"{self._key.public.id16}-1"
        self.origin = origin_of(self.id)
        details = statement.event_details({})
        self._keep(details)
        fields = {"previous": None, "why": WHY}
        self._append(statement.event("log-opened", fields, details, self._context(observation)))

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the key."""
        return self._key.public.fingerprint

    def append_snapshot(self, collected: Sequence[Collected], observation: Observation) -> Clock:
        """Sign one run's collections and return the clocks in the entry. Raises: FormatError, LimitError."""
        context = self._context(observation)
        payload = statement.snapshot(collected, context)
        for each in collected:
            self._keep(*each.blobs().values(), *(() if each.header is None else (each.header,)))
        self._append(payload)
        return context.clock

    def _context(self, observation: Observation) -> Context:
        return Context(origin=self.origin, sequence=len(self._entries), clock=self._clock(), observation=observation)

    def _keep(self, *blobs: bytes) -> None:
        for each in blobs:
            if len(each) > MAX_BYTES:
                raise LimitError("blob", f"at most {MAX_BYTES} bytes", f"{len(each)}")
            self._blobs[digest(each)] = deflated(each)

    def _append(self, payload: bytes) -> None:
        envelope = dsse.sign(payload, [self._key]).encode()
        self._entries.append(MemoryEntry(len(self._entries), envelope, payload))

    # -- what a pack is written from

    def logs(self) -> list[MemoryLog]:
        """Return the one log."""
        return [self]

    def public_key(self, log_id: str) -> PublicKey:
        """Return the key that signs."""
        self._check(log_id)
        return self._key.public

    def protection(self, log_id: str) -> Protection:
        """Return how the key is kept."""
        self._check(log_id)
        return "memory"

    def checkpoint(self, log_id: str) -> bytes:
        """Return the signed note of all entries."""
        return note.sign(self._text(log_id), self.origin, self._key).encode()

    def sshsig(self, log_id: str) -> str:
        """Return the SSHSIG over the text of that note."""
        return sshsig.sign(self._text(log_id).encode(), self._key)

    def receipt(self, log_id: str) -> Cosigned | None:
        """Return None: nobody else has seen it."""
        self._check(log_id)
        return None

    def leaves(self, log_id: str) -> bytes:
        """Return the leaf hashes."""
        self._check(log_id)
        return b"".join(tree.leaf_hash(each.payload) for each in self._entries)

    def entries(self, log_id: str, start: int, stop: int) -> Iterator[MemoryEntry]:
        """Yield the entries of a range in order."""
        self._check(log_id)
        yield from self._entries[start:stop]

    def stored_blob(self, digest: str) -> bytes | None:
        """Return a blob's zlib data, None if no entry names it."""
        return self._blobs.get(digest)

    def _text(self, log_id: str) -> str:
        leaves = tree.split(self.leaves(log_id))
        return Checkpoint(self.origin, len(leaves), tree.root(leaves)).text()

    def _check(self, log_id: str) -> None:
        if log_id != self.id:
            raise StateError(log_id, f"log {self.id}", "another")
