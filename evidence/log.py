"""The store: where evidence is appended, one writer at a time, and reported as committed only when it is on disk.

Order of a commit: blobs, then the entry's frame, then the signed size (docs/formats.md, section 7). After an error
nothing in memory is believed: the next call finds out what is on disk, as a new process would.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any

import msgspec

from evidence import dsse, entry, history, identity, keyring, prune, reserve, statement
from evidence.blobs import Blobs
from evidence.epochs import Plan, begin
from evidence.errors import CommitError, StateError
from evidence.index import Row
from evidence.index_file import IndexFile
from evidence.keys import PrivateKey
from evidence.layout import Layout
from evidence.layout import opened as opened_layout
from evidence.lock import writing
from evidence.opening import ROTATED, Continued, Opening, decide
from evidence.patrol import BUDGET_BYTES, Patrol, blob_finding
from evidence.reader import StoreReader
from evidence.state import Folder, open_state
from evidence.statement import Clock, Collected, Context, Observation
from evidence.tree import leaf_hash

Payload = Callable[[Context], bytes]
LOCK_WAIT_S = 10.0
_DISK_FULL = "disk-full"


@dataclass(frozen=True)
class Entry:
    """An entry that is on disk, and that the signed size covers."""

    origin: str
    sequence: int
    kind: str
    wall: str
    leaf_hash: bytes


class EvidenceStore:
    """A state folder, open for its one writer. Use `open` in a `with` block."""

    def __init__(self, stack: ExitStack, layout: Layout, machine: str | None, clock: Callable[[], Clock]) -> None:
        self._stack = stack
        self._layout = layout
        self._machine = machine
        self._clock = clock
        self._index = IndexFile(layout)
        stack.callback(self._index.close)
        self._blobs = Blobs(layout.blobs, self._set_blob_aside)
        stack.callback(self._blobs.close)
        self._log: Continued | Plan | None = None
        self._indexed: list[Row] = []
        stack.callback(self._leave)
        self.events: list[Entry] = []
        """What the store itself recorded since it was opened: a new log, damage, a full disk."""

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
                store = cls(stack, stack.enter_context(opened_layout(root)), machine, clock)
                store._load(resume=True)
                store._patrol(patrol_bytes)
            except OSError as error:
                raise StateError(state, "a state folder to write to", _words(error)) from error
            store._stack = stack.pop_all()
            return store

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
        return identity.secret(self._layout.keys)

    @property
    def fingerprint(self) -> str | None:
        """Return the fingerprint of the key that signs, None before the first entry."""
        return self._log.key.public.fingerprint if isinstance(self._log, Continued) else None

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
        blob, payload = _event(kind, fields, details, absence)
        return self._append([blob], payload, observation)

    def rotate(self, observation: Observation) -> Entry:
        """Close the log with a new key's name, signed by both, and return the first entry of its log.

        The old private key is destroyed. Interrupted, it is completed by the next writer once the old log is
        closed, and forgotten before that. Raises: CommitError.
        """
        with self._committing():
            log = self._continued(observation)
            key = keyring.make_next(self._layout.keys)
            fields = statement.key_rotated(key.public, log.identity.number + 1)
            blob, payload = _event(ROTATED, fields, {}, None)
            self._commit([blob], payload, observation, also=key)
            self._leave()
            self._continued(observation)
        return self.events[-1]

    def prune(self, before: datetime, observation: Observation) -> int:
        """Remove the blobs that only entries before a time need, and return how many; an event says which.

        Raises: CommitError; after it, a removal that is signed already is completed by the next call of any kind.
        """
        with self._committing():
            log = self._continued(observation)
            rows = prune.chained(history.all_rows(self._layout, self._index))
            digests = tuple(sorted(prune.removable(rows, prune.wall(before)) & set(self._blobs.names())))
            if not digests:
                return 0
            fields = {"before": prune.wall(before), "blobs": len(digests)}
            blob, payload = _event(prune.PRUNED, fields, {"digests": digests}, None)
            removal = prune.Removal(
                log=log.identity.log_id,
                sequence=log.log.writer.size,
                event=statement.digest(blob),
                digests=digests,
            )
            prune.intend(self._layout.root, removal)
            self._commit([blob], payload, observation)
            prune.complete(self._layout.root, self._blobs, removal)
        return len(digests)

    def check(self, observation: Observation) -> list[Entry]:
        """Compare everything with its hash, mend what can be mended, and return the events that record it.

        Raises: CommitError.
        """
        with self._committing():
            log = self._continued(observation)
            before = len(self.events)
            self._patrol_of(log).whole()
            self._record_damage(observation)
        return self.events[before:]

    def _append(self, blobs: Sequence[bytes], payload: Payload, observation: Observation) -> Entry:
        try:
            with self._committing():
                self._continued(observation)
                done = self._commit(blobs, payload, observation)
        except CommitError as error:
            self._note_full_disk(error, observation)
            raise
        with contextlib.suppress(CommitError, OSError):  # it is committed, whatever becomes of this record
            self._record_full_disk(observation)
        return done

    def _commit(
        self, blobs: Sequence[bytes], payload: Payload, observation: Observation, also: PrivateKey | None = None
    ) -> Entry:
        """Put one entry on disk: blobs, frame, signed size. Raises: OSError."""
        log = self._open()
        writer = log.log.writer
        sequence = writer.size
        origin = log.identity.origin
        context = Context(origin=origin, sequence=sequence, clock=self._clock(), observation=observation)
        data = payload(context)
        body = dsse.sign(data, [log.key] if also is None else [log.key, also]).encode()
        self._blobs.put({statement.digest(each): each for each in blobs})
        frame = writer.append(body, data)
        writer.sign()
        row = entry.row_of(frame, writer.segment)
        self._index.add(log.identity.log_id, sequence, [row])
        return Entry(origin, sequence, row.kind, row.wall, leaf_hash(data))

    @contextlib.contextmanager
    def _committing(self) -> Iterator[None]:
        """Make what went wrong a CommitError, and believe nothing in memory after it."""
        try:
            yield
        except OSError as error:
            self._leave()
            where, step = self._layout.root.path, "nothing was lost; see to the disk, then try again"
            raise CommitError(where, "the entry on disk", _words(error), step) from error
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        """Close the log; whoever needs it next opens it from what is on disk."""
        log, self._log = self._log, None
        if isinstance(log, Continued):
            with contextlib.suppress(OSError):
                log.log.writer.close()

    def _load(self, *, resume: bool) -> None:
        self._log = decide(self._layout, Opening(self._machine, self._rows, resume))
        if isinstance(self._log, Continued):
            self._remember_rows(self._log)
        self._complete_removal()

    def _rows(self, log_id: str) -> list[Row]:
        self._indexed = self._index.rows(log_id)
        return self._indexed

    def _remember_rows(self, log: Continued) -> None:
        rows = log.log.rows
        same = 0
        for known, row in zip(self._indexed, rows, strict=False):
            if known != row:
                break
            same += 1
        if same < len(rows) or len(self._indexed) > len(rows):
            self._index.add(log.identity.log_id, same, rows[same:])

    def _complete_removal(self) -> None:
        """Complete a removal whose event is committed; forget one whose event is not."""
        removal = prune.intended(self._layout.root)
        if removal is None:
            return
        rows = dict(history.all_rows(self._layout, self._index)).get(removal.log, [])
        named = rows[removal.sequence].names if removal.sequence < len(rows) else {}
        if named == {"event": (removal.event,)}:
            prune.complete(self._layout.root, self._blobs, removal)
        else:
            prune.forget(self._layout.root)

    def _patrol(self, budget: int) -> None:
        if isinstance(self._log, Continued) and budget:
            self._patrol_of(self._log).some(budget)

    def _patrol_of(self, log: Continued) -> Patrol:
        return Patrol(self._layout, self._index, self._blobs, log.key, log.identity.log_id)

    def _continued(self, observation: Observation) -> Continued:
        """Return the log that goes on, opening one if there must be one, and record what was found on the way."""
        if self._log is None:
            self._load(resume=False)
        if isinstance(self._log, Plan):
            self._begin(self._log, observation)
        self._record_damage(observation)
        return self._open()

    def _open(self) -> Continued:
        if not isinstance(self._log, Continued):
            raise StateError(self._layout.root.path, "a log to go on with", "none")
        return self._log

    def _begin(self, plan: Plan, observation: Observation) -> None:
        clock = self._clock()
        blob, payload = _event("log-opened", plan.fields(), {}, None)
        self._blobs.put({statement.digest(blob): blob})

        def opening(origin: str, key: PrivateKey) -> tuple[bytes, bytes]:
            data = payload(Context(origin=origin, sequence=0, clock=clock, observation=_own(observation, plan.machine)))
            return dsse.sign(data, [key]).encode(), data

        self._log = None  # whatever happens from here on, the disk says what is true
        begin(self._layout, plan, self.secret, opening)
        self._load(resume=True)
        log = self._open()
        row = log.log.rows[0]
        self.events.append(Entry(log.identity.origin, 0, row.kind, row.wall, row.leaf))

    def _record_damage(self, observation: Observation) -> None:
        """Sign what was found damaged, one event for each part."""
        reports = self._layout.quarantine.unrecorded()
        for part in sorted({each.part for each in reports.values()}):
            names = [name for name, each in reports.items() if each.part == part]
            findings = [reports[name] for name in names]
            self._record(
                "damage",
                {"count": sum(each.count for each in findings), "part": part},
                {"findings": [msgspec.to_builtins(each) for each in findings]},
                observation,
            )
            for name in names:
                self._layout.quarantine.recorded(name)

    def _record(
        self,
        kind: str,
        fields: Mapping[str, Any],
        details: Mapping[str, Any],
        observation: Observation,
        absence: Mapping[str, str] | None = None,
    ) -> None:
        """Commit an event of the store itself."""
        blob, payload = _event(kind, fields, details, absence)
        self.events.append(self._commit([blob], payload, _own(observation, self._machine)))

    def _note_full_disk(self, error: CommitError, observation: Observation) -> None:
        """Give the reserve back when the disk is full, and use it to sign that it is."""
        cause = error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in reserve.FULL:
            return
        with contextlib.suppress(OSError, CommitError):
            if reserve.spend(self._layout.root, self._clock().wall):
                with self._committing():
                    self._continued(observation)
                    self._record(_DISK_FULL, {}, {}, observation)

    def _record_full_disk(self, observation: Observation) -> None:
        """Sign for how long entries did not fit, once one did; and keep room for the next time."""
        spent = reserve.spent(self._layout.root)
        if spent is not None:
            absence = {"from": _second(spent.since), "reason": _DISK_FULL, "until": _second(self._clock().wall)}
            with self._committing():
                self._continued(observation)
                self._record("gap", {"failures": spent.failures}, {}, observation, absence)
        reserve.fill(self._layout.root)

    def _set_blob_aside(self, folder: Folder, name: str) -> None:
        """Move a damaged blob out of the way; the bytes are in hand, so nothing is lost."""
        finding = msgspec.structs.replace(blob_finding(name, "other bytes than its name says"), count=0)
        self._layout.quarantine.take(folder, name, finding)


def _event(
    kind: str, fields: Mapping[str, Any], details: Mapping[str, Any], absence: Mapping[str, str] | None
) -> tuple[bytes, Payload]:
    """Return the details of an event as a blob, and what makes its payload."""
    blob = statement.event_details(details)
    return blob, lambda context: statement.event(kind, fields, blob, context, absence)


def _own(observation: Observation, machine: str | None) -> Observation:
    """Return who speaks when the store itself does: this host, also while an image is being read."""
    if observation.observed == "live":
        return observation
    return msgspec.structs.replace(observation, name=os.uname().nodename, labels={}, machine=machine, observed="live")


def _second(wall: str) -> str:
    """Return a clock's time to the second."""
    return wall[: len("2026-01-31T07:00:00")] + "Z"


def _words(error: OSError) -> str:
    return (error.strerror or "an error").lower()
