"""The store: where evidence is appended, one writer at a time, and reported as committed only when it is on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from types import TracebackType
from typing import Any

from evidence import batch, batch_source, enrolment, history, identity, keyring, prune, reserve, statement, steps
from evidence.accepting import Accepted, RestoredError
from evidence.answered import answered
from evidence.batch import BatchInfo
from evidence.batch_range import LIMIT_BYTES
from evidence.batch_source import Wanted, gathered
from evidence.errors import CommitError, StateError
from evidence.journal import Entry, Journal, Payload, event, words
from evidence.keys import PublicKey
from evidence.layout import opened as opened_layout
from evidence.lock import writing
from evidence.note import Verifier
from evidence.opening import ROTATED
from evidence.pack_target import SHARED
from evidence.patrol import BUDGET_BYTES
from evidence.reader import StoreReader
from evidence.state import open_state
from evidence.statement import Clock, Collected, Observation

__all__ = ["BatchInfo", "Entry", "EvidenceStore"]
LOCK_WAIT_S = 10.0
_DISK_FULL = "disk-full"


class EvidenceStore:
    """A state folder, open for its one writer. Use `open` in a `with` block."""

    def __init__(self, stack: ExitStack, journal: Journal) -> None:
        self._stack = stack
        self._journal = journal
        self._root = journal.layout.root

    @classmethod
    def open(
        cls,
        state: str,
        *,
        machine: str | None,
        clock: Callable[[], Clock],
        wait_s: float = LOCK_WAIT_S,
        patrol_bytes: int = BUDGET_BYTES,
    ) -> EvidenceStore:
        """Take the lock and bring the state in order; it is made at first use.

        `machine` is the keyed hash of the machine id that statements carry; another one than was remembered means
        that the state was cloned. What has to be recorded (a first log, damage) is signed before the next entry.
        Raises: BusyError, UnsafeStateError, NewerStateError, StateError when the disk refuses.
        """
        with ExitStack() as stack:
            try:
                root = open_state(state, create=True)
                stack.callback(root.close)
                stack.enter_context(writing(root, wait_s))
                layout = stack.enter_context(opened_layout(root))
                journal = Journal(stack, layout, machine, clock)
                journal.load(resume=True)
                journal.patrol(patrol_bytes)
            except OSError as error:
                raise StateError(state, "a state folder to write to", words(error)) from error
            return cls(stack.pop_all(), journal)

    @staticmethod
    def read(state: str) -> StoreReader:
        """Return the reading side, which takes no lock and writes nothing. Raises: StateError."""
        return StoreReader(state)

    def __enter__(self) -> EvidenceStore:  # noqa: PYI034  typing.Self is 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the lock back."""
        self._stack.close()

    @property
    def secret(self) -> bytes:
        """Return the secret for keyed hashes of personal data."""
        return identity.secret(self._journal.layout.keys)

    @property
    def fingerprint(self) -> str | None:
        """Return the fingerprint of the key that signs, None before the first entry."""
        return self._journal.fingerprint

    @property
    def events(self) -> list[Entry]:
        """Return what the store itself recorded since it was opened: a new log, damage, a full disk."""
        return self._journal.events

    def append_snapshot(self, collected: Sequence[Collected], observation: Observation) -> Entry:
        """Commit one run's collections.

        Raises: CommitError when it is not on disk for certain, and may be tried again; FormatError, LimitError.
        """
        blobs = [blob for each in collected for blob in (*each.blobs().values(), each.header) if blob is not None]
        return self._append(blobs, lambda context: statement.snapshot(collected, context), observation)

    def append_event(
        self,
        kind: str,
        fields: Mapping[str, Any],
        details: Mapping[str, Any],
        observation: Observation,
        absence: Mapping[str, str] | None = None,
    ) -> Entry:
        """Commit something that happened. Raises: as `append_snapshot`."""
        blob, payload = event(kind, fields, details, absence)
        return self._append([blob], payload, observation)

    def rotate(self, observation: Observation) -> Entry:
        """Close the log with a new key's name, signed by both, and return the first entry of its log.

        The old private key is destroyed. Interrupted, it is completed by the next writer once the old log is
        closed, and forgotten before that. Raises: CommitError.
        """
        with self._journal.committing():
            log = self._journal.continued(observation)
            steps.keep_all(self._journal, log.key)
            key = keyring.make_next(self._journal.layout.keys)
            fields = statement.key_rotated(key.public, log.identity.number + 1)
            blob, payload = event(ROTATED, fields, {}, None)
            self._journal.commit([blob], payload, observation, also=key)
            self._journal.leave()
            self._journal.continued(observation)
        return self._journal.events[-1]

    def prune(self, before: datetime, observation: Observation) -> int:
        """Remove the blobs that only entries before a time need, and return how many; an event says which.

        Raises: CommitError; after it, a removal that is signed already is completed by the next call of any kind.
        """
        with self._journal.committing():
            log = self._journal.continued(observation)
            rows = prune.chained(history.all_rows(self._journal.layout, self._journal.index))
            found = prune.removable(rows, prune.wall(before), self._journal.clock().wall)
            digests = tuple(sorted(found & set(self._journal.blobs.names())))
            if not digests:
                return 0
            fields = {"before": prune.wall(before), "blobs": len(digests)}
            blob, payload = event(prune.PRUNED, fields, {"digests": digests}, None)
            removal = prune.Removal(
                log=log.identity.log_id,
                sequence=log.log.writer.size,
                event=statement.digest(blob),
                digests=digests,
            )
            prune.intend(self._root, removal)
            self._journal.commit([blob], payload, observation)
            prune.complete(self._root, self._journal.blobs, removal)
        return len(digests)

    def check(self, observation: Observation) -> list[Entry]:
        """Compare everything with its hash, mend what can be mended, and return the events that record it.

        Raises: CommitError.
        """
        with self._journal.committing():
            log = self._journal.continued(observation)
            before = len(self._journal.events)
            self._journal.patrol_of(log).whole()
            self._journal.record_damage(observation)
        return self._journal.events[before:]

    def prove(self, hub: str, nonce: str, observation: Observation) -> tuple[str, PublicKey, str]:
        """Return origin, key and the signature with which the log that goes on enrols at a hub.

        Raises: CommitError, if there was no log and none could be begun; FormatError.
        """
        with self._journal.committing():
            log = self._journal.continued(observation)
            origin = log.identity.origin
            return origin, log.key.public, enrolment.prove(log.key, hub, nonce, origin)

    def unshipped(self, log_id: str, since: int) -> int:
        """Return how many entries of a log stand from `since` on. Raises: StateError if there is no such log."""
        with StoreReader(self._root.path) as reader:
            return max(0, reader.signed_size(log_id).size - since)

    def write_batch(
        self,
        folder: str,
        log_id: str,
        first: int,
        *,
        size: int | None = None,
        up_to: int | None = None,
        limit_bytes: int = LIMIT_BYTES,
        with_blobs: bool = True,
        overwrite: bool = False,
        mode: int = SHARED,
    ) -> BatchInfo:
        """Write the entries of a log from `first` on, and the blobs they bring, as one file into a folder.

        It ends where `limit_bytes` of envelopes and blobs are reached, at `size` if that is given, in any case at the
        end of the log, or at `up_to` in front of it: the next batch begins at the `size` that is returned. Without
        blobs and with `overwrite` it replaces one that was written. A log whose key was destroyed goes in parts that
        end where a signature is left (`evidence.steps`), which may be past `up_to`. Members of the folder's group may
        read the file, unless `mode` is another.
        Raises: StateError if there are no such entries; PackError if the disk refuses or a file of its name stands
        there; DamageError.
        """
        wanted = Wanted(folder, log_id, first, size, up_to, limit_bytes, with_blobs)
        with StoreReader(self._root.path) as reader:
            try:
                contents = gathered(self._journal, reader, wanted)
            except OSError as error:
                raise StateError(self._root.path, "a state that can be read", words(error)) from error
            return batch.write(reader, contents, folder, overwrite=overwrite, mode=mode)

    def cut(self, log_id: str, first: int, size: int) -> int | None:
        """Return where a batch can be cut in two, near its middle; None if it cannot. Raises: StateError."""
        try:
            return batch_source.cut(self._journal, log_id, first, size)
        except OSError as error:
            raise StateError(self._root.path, "a state that can be read", words(error)) from error

    def accept_receipt(self, log_id: str, data: bytes, verifiers: Sequence[Verifier], *, covers: int = 0) -> Accepted:
        """Check what a hub or witness answered for a log, keep it, and return what it acknowledges.

        `verifiers` are the keys that were pinned; `covers` is the size that has to be acknowledged, such as that of
        the batch that was sent. The next entry names the latest receipt.
        Raises: ReceiptError for anything else, which is kept, too; RestoredError when our own key signed what this
        state does not have, so that the next entry begins a new epoch; StateError.
        """
        try:
            return answered(self._journal, log_id, data, tuple(verifiers), covers)
        except RestoredError:
            self._journal.leave()  # whoever needs the log next finds the proof
            raise
        except OSError as error:
            step = "see to the disk; the answer will be given again"
            raise StateError(self._root.path, "the answer kept on disk", words(error), step) from error

    def _append(self, blobs: Sequence[bytes], payload: Payload, observation: Observation) -> Entry:
        try:
            with self._journal.committing():
                self._journal.continued(observation)
                done = self._journal.commit(blobs, payload, observation)
        except CommitError as error:
            self._note_full_disk(error, observation)
            raise
        with contextlib.suppress(CommitError, OSError):  # it is committed, whatever becomes of this record
            self._record_full_disk(observation)
        return done

    def _note_full_disk(self, error: CommitError, observation: Observation) -> None:
        """Give the reserve back when the disk is full, and use it to sign that it is."""
        cause = error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in reserve.FULL:
            return
        with contextlib.suppress(OSError, CommitError):
            if reserve.spend(self._root, self._journal.clock().wall):
                with self._journal.committing():
                    self._journal.continued(observation)
                    self._journal.record(_DISK_FULL, {}, {}, observation)

    def _record_full_disk(self, observation: Observation) -> None:
        """Sign for how long entries did not fit, once one did; and keep room for the next time."""
        spent = reserve.spent(self._root)
        if spent is not None:
            absence = {"from": _second(spent.since), "reason": _DISK_FULL, "until": _second(self._journal.clock().wall)}
            with self._journal.committing():
                self._journal.continued(observation)
                self._journal.record("gap", {"failures": spent.failures}, {}, observation, absence)
            reserve.told(self._root)
        reserve.fill(self._root)


def _second(wall: str) -> str:
    """Return a clock's time to the second."""
    return wall[: len("2026-01-31T07:00:00")] + "Z"
