"""The log as the store writes it: opened from what is on disk, one commit at a time, never believed after an error.

Order of a commit: blobs, then the entry's frame, then the signed size (docs/formats.md, section 7).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import msgspec

from evidence import dsse, entry, history, identity, prune, statement
from evidence.blobs import Blobs
from evidence.epochs import Plan, begin
from evidence.errors import CommitError, StateError
from evidence.index import Row
from evidence.index_file import IndexFile
from evidence.keys import PrivateKey
from evidence.layout import Layout
from evidence.opening import Continued, Opening, decide
from evidence.patrol import Patrol, blobs_finding
from evidence.predicates import Receipt
from evidence.quarantine import Finding
from evidence.state import Folder
from evidence.statement import Clock, Context, Observation
from evidence.tree import leaf_hash

_MAX_FINDINGS = 40
"""Findings in one event: each names at most a segment's entries, and its details stay small enough for verify.py."""
Payload = Callable[[Context], bytes]


class Entry(msgspec.Struct, frozen=True):
    """An entry that is on disk, and that the signed size covers."""

    origin: str
    sequence: int
    kind: str
    wall: str
    leaf_hash: bytes


class Journal:
    """The log that goes on, and what the store has to say in it itself.

    After an error nothing in memory is believed: the next call finds out what is on disk, as a new process would.
    """

    def __init__(self, stack: ExitStack, layout: Layout, machine: str | None, clock: Callable[[], Clock]) -> None:
        self.layout = layout
        self._machine = machine
        self.clock = clock
        self.index = IndexFile(layout)
        stack.callback(self.index.close)
        self.blobs = Blobs(layout.blobs, self._set_blob_aside)
        stack.callback(self.blobs.close)
        self._log: Continued | Plan | None = None
        self._indexed: list[Row] = []
        stack.callback(self.leave)
        self.events: list[Entry] = []
        """What the store itself recorded since it was opened: a new log, damage, a full disk."""

    @property
    def fingerprint(self) -> str | None:
        """Return the fingerprint of the key that signs, None before the first entry."""
        return self._log.key.public.fingerprint if isinstance(self._log, Continued) else None

    def load(self, *, resume: bool) -> None:
        """Find out what is on disk: the log that goes on, or the plan of the next. Raises: OSError, StateError."""
        self._log = decide(self.layout, Opening(self._machine, self._rows, resume))
        if isinstance(self._log, Continued):
            self._remember_rows(self._log)
        self._complete_removal()

    def continued(self, observation: Observation) -> Continued:
        """Return the log that goes on, opening one if there must be one, and record what was found on the way."""
        if self._log is None:
            self.load(resume=False)
        if isinstance(self._log, Plan):
            self._begin(self._log, observation)
        self.record_damage(observation)
        return self._open()

    def _open(self) -> Continued:
        if not isinstance(self._log, Continued):
            raise StateError(self.layout.root.path, "a log to go on with", "none")
        return self._log

    def _begin(self, plan: Plan, observation: Observation) -> None:
        clock = self.clock()
        blob, payload = event("log-opened", plan.fields(), {}, None)
        self.blobs.put({statement.digest(blob): blob})

        def opening(origin: str, key: PrivateKey) -> tuple[bytes, bytes]:
            data = payload(Context(origin=origin, sequence=0, clock=clock, observation=_own(observation, plan.machine)))
            return dsse.sign(data, [key]).encode(), data

        self._log = None  # whatever happens from here on, the disk says what is true
        begin(self.layout, plan, identity.secret(self.layout.keys), opening)
        self.load(resume=True)
        log = self._open()
        row = log.log.rows[0]
        self.events.append(Entry(log.identity.origin, 0, row.kind, row.wall, row.leaf))

    def commit(
        self, blobs: Sequence[bytes], payload: Payload, observation: Observation, also: PrivateKey | None = None
    ) -> Entry:
        """Put one entry on disk: blobs, frame, signed size. Raises: OSError."""
        log = self._open()
        writer = log.log.writer
        sequence = writer.size
        origin = log.identity.origin
        context = Context(
            origin=origin, sequence=sequence, clock=self.clock(), observation=observation, receipt=log.receipt
        )
        data = payload(context)
        body = dsse.sign(data, [log.key] if also is None else [log.key, also]).encode()
        self.blobs.put({statement.digest(each): each for each in blobs})
        frame = writer.append(body, data)
        writer.sign()
        row = entry.row_of(frame, writer.segment)
        self.index.add(log.identity.log_id, sequence, [row])
        log.log.rows.append(row)
        return Entry(origin, sequence, row.kind, row.wall, leaf_hash(data))

    def key_of(self, log_id: str) -> PrivateKey | None:
        """Return the private key that signs a log, None if it was destroyed. Raises: OSError, StateError."""
        if self._log is None:
            self.load(resume=False)
        key = None if self._log is None else self._log.key
        return key if key is not None and log_id.startswith(f"{key.public.id16}-") else None

    def rows_of(self, log_id: str) -> list[Row]:
        """Return the rows of a log up to its checkpoint, as far as they can be had."""
        if isinstance(self._log, Continued) and self._log.identity.log_id == log_id:
            return self._log.log.rows
        return history.rows_of(self.layout, self.index, log_id)

    def remember_receipt(self, log_id: str, receipt: Receipt | None) -> None:
        """Name a receipt in the entries from now on."""
        if isinstance(self._log, Continued) and self._log.identity.log_id == log_id:
            self._log = msgspec.structs.replace(self._log, receipt=receipt)

    def record(
        self,
        kind: str,
        fields: Mapping[str, Any],
        details: Mapping[str, Any],
        observation: Observation,
        absence: Mapping[str, str] | None = None,
    ) -> None:
        """Commit an event of the store itself."""
        blob, payload = event(kind, fields, details, absence)
        self.events.append(self.commit([blob], payload, _own(observation, self._machine)))

    def record_damage(self, observation: Observation) -> None:
        """Sign what was found damaged, an event for each part and, if it is a great deal, more."""
        reports = self.layout.quarantine.unrecorded()
        for part in sorted({each.part for each in reports.values()}):
            names = [name for name, each in reports.items() if each.part == part]
            for at in range(0, len(names), _MAX_FINDINGS):
                self._record_findings(
                    part, {name: reports[name] for name in names[at : at + _MAX_FINDINGS]}, observation
                )

    def _record_findings(self, part: str, reports: dict[str, Finding], observation: Observation) -> None:
        findings = reports.values()
        fields = {"count": sum(each.count for each in findings), "part": part}
        self.record("damage", fields, {"findings": [msgspec.to_builtins(each) for each in findings]}, observation)
        for name in reports:
            self.layout.quarantine.recorded(name)

    @contextlib.contextmanager
    def committing(self) -> Iterator[None]:
        """Make what went wrong a CommitError, and believe nothing in memory after it."""
        try:
            yield
        except OSError as error:
            self.leave()
            where, step = self.layout.root.path, "nothing was lost; see to the disk, then try again"
            raise CommitError(where, "the entry on disk", words(error), step) from error
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Close the log; whoever needs it next opens it from what is on disk."""
        log, self._log = self._log, None
        if isinstance(log, Continued):
            with contextlib.suppress(OSError):
                log.log.writer.close()

    def _rows(self, log_id: str) -> list[Row]:
        self._indexed = self.index.rows(log_id)
        return self._indexed

    def _remember_rows(self, log: Continued) -> None:
        rows = log.log.rows
        same = 0
        for known, row in zip(self._indexed, rows, strict=False):
            if known != row:
                break
            same += 1
        if same < len(rows) or len(self._indexed) > len(rows):
            self.index.add(log.identity.log_id, same, rows[same:])

    def _complete_removal(self) -> None:
        """Complete a removal whose event is committed; forget one whose event is not."""
        removal = prune.intended(self.layout.root)
        if removal is None:
            return
        rows = dict(history.all_rows(self.layout, self.index)).get(removal.log, [])
        named = rows[removal.sequence].names() if removal.sequence < len(rows) else {}
        if named == {"event": [removal.event]}:
            prune.complete(self.layout.root, self.blobs, removal)
        else:
            prune.forget(self.layout.root)

    def patrol(self, budget: int) -> None:
        """Look at a few bytes of what was written long ago. Raises: OSError."""
        if isinstance(self._log, Continued) and budget:
            self.patrol_of(self._log).some(budget)

    def patrol_of(self, log: Continued) -> Patrol:
        """Return what looks at everything."""
        log_id = log.identity.log_id
        return Patrol(self.layout, self.index, self.blobs, log.key, log_id, {log_id: log.log.rows})

    def _set_blob_aside(self, folder: Folder, name: str) -> None:
        """Move a damaged blob out of the way; the bytes are in hand, so nothing is lost."""
        finding = msgspec.structs.replace(blobs_finding([name], "other bytes than its name says"), count=0)
        self.layout.quarantine.take(folder, name, finding)


def event(
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


def words(error: OSError) -> str:
    """Return what the system calls an error, for a message of ours."""
    return (error.strerror or "an error").lower()
