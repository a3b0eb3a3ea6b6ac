"""Taking a batch in: everything is checked, and what is new is laid out for the committer.

Nothing of a batch counts before the committer has it on disk; a refusal leaves only staged blobs, which are removed.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from evidence import batch_read, tree
from evidence.batch_entries import BatchEntry
from evidence.batch_read import Batch, CheckedBatch, open_batch
from evidence.errors import EvidenceError
from evidence.keys import PublicKey
from evidence.note import Checkpoint, Note
from evidence.predicates import Event
from evidence.tree import HASH_BYTES, Frontier
from hub.blob_files import BlobFiles, Staged
from hub.database import Database
from hub.enrolment import named_key
from hub.forks import Fork, ForkError
from hub.log_state import LogState, frontier_at
from hub.problem import Problem, StandsElsewhere
from hub.uploads import Announced

PIECE = 256
"""Entries in a row of the database."""
_LEVEL = 6
_OPENED = "log-opened"
_DAMAGE = "damage"


@dataclass(frozen=True)
class Arrived:
    """The checkpoint of a batch, signed by its log's key."""

    checkpoint: Checkpoint
    note: Note


@dataclass(frozen=True)
class Piece:
    """Entries that follow each other, as the database keeps them."""

    first: int
    count: int
    leaves: bytes
    envelopes: bytes


@dataclass
class Findings:
    """What the new entries say that the hub wants to know without reading them again."""

    previous: str | None = None
    first_wall: str | None = None
    last_wall: str | None = None
    gaps: int = 0
    next_key: PublicKey | None = None


@dataclass
class Accepted:
    """A batch that holds, ready to be committed."""

    state: LogState
    announced: Announced
    note: Note
    """With the log's own line alone."""
    sshsig: str = ""
    protection: str = "file"
    frontier: Frontier = field(default_factory=Frontier)
    pieces: list[Piece] = field(default_factory=list)
    """Of entries that are not stored yet."""
    findings: Findings = field(default_factory=Findings)
    named: set[str] = field(default_factory=set)
    """Blobs that entries of the batch name."""
    missing: set[str] = field(default_factory=set)
    """Those of them that are neither here nor in the batch."""
    staged: Staged = field(default_factory=Staged)

    @property
    def grows(self) -> bool:
        """Return whether it has entries that are not stored yet."""
        return self.announced.size > self.state.size


def check(
    database: Database, blobs: BlobFiles, state: LogState, announced: Announced, arrived: Arrived, stream: BinaryIO
) -> Accepted:
    """Return what a batch brings, after all of it was checked. Raises: Problem, StandsElsewhere, ForkError; OSError."""
    accepted = Accepted(state=state, announced=announced, note=arrived.note)
    try:
        with open_batch(stream) as batch:
            _check_head(database, batch, accepted, arrived, stream)
            _take_entries(batch.entries(), accepted)
            _take_blobs(batch, blobs, accepted)
    except BaseException as error:
        blobs.discard(accepted.staged)
        if isinstance(error, EvidenceError):
            raise Problem("batch", f"{error}") from None
        raise
    return accepted


def _check_head(database: Database, batch: Batch, accepted: Accepted, arrived: Arrived, stream: BinaryIO) -> None:
    """Compare the batch with what was announced and with the tree that is stored."""
    state, announced = accepted.state, accepted.announced
    if tuple(batch.place) != (announced.log_id, announced.first, announced.size):
        raise Problem("digest", "expected the log, first entry and size that were announced, found others")
    known = frontier_at(database, state, min(state.size, announced.size))
    try:
        checked = batch.check(state.owner.key, known)
    except batch_read.ElsewhereError:
        raise StandsElsewhere(state.size) from None
    except batch_read.ForkError as error:
        raise ForkError(_fork(accepted, error.other, known, stream)) from None
    if checked.checkpoint != arrived.checkpoint:
        raise Problem("digest", "expected the checkpoint that was announced, found another")
    _check_witnessed(accepted, checked, known)
    accepted.sshsig, accepted.protection = checked.armoured, batch.protection
    accepted.frontier = checked.frontier


def _check_witnessed(accepted: Accepted, checked: CheckedBatch, known: Frontier) -> None:
    """Compare the tree with a checkpoint of a size on the way that the witness key cosigned."""
    state, witnessed = accepted.state, accepted.state.witnessed
    if state.witness is None or witnessed is None or not state.size < witnessed.size <= checked.size:
        return
    grown = known.copy()
    for at in range(known.size, witnessed.size):
        start = (at - checked.first) * HASH_BYTES
        grown.append(checked.leaves[start : start + HASH_BYTES])
    if grown.root() != witnessed.root:
        why = f"the log was signed with another history of its first {witnessed.size} entries before"
        known_root = witnessed.root
        raise ForkError(Fork(state.id, state.witness, accepted.note, witnessed.size, known_root, grown.root(), why))


def _fork(accepted: Accepted, other: Note, known: Frontier, stream: BinaryIO) -> Fork:
    """Return the contradiction between a batch and what is stored: at a size, two roots that both were signed for."""
    state, first = accepted.state, accepted.announced.first
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:  # its container and its tree have been checked by now
        parts = [tar.extractfile(f"{state.id}/{name}") for name in ("frontier", "leaves")]
        full, leaves = (tree.split(each.read()) for each in parts if each is not None)
    there = Frontier.of(first, full)
    for leaf in leaves[: known.size - first]:
        there.append(leaf)
    why = f"the log was signed with another history of its first {known.size} entries before"
    note = state.note or accepted.note
    return Fork(state.id, note, other, known.size, known.root(), there.root(), why)


def _take_entries(entries: Iterator[BatchEntry], accepted: Accepted) -> None:
    """Lay out the entries that are new, and gather what they name."""
    waiting: list[BatchEntry] = []
    for each in entries:
        if each.statement is not None:
            accepted.named |= each.statement.digests()
        if each.sequence < accepted.state.size:
            continue
        _note(each, accepted.findings)
        waiting.append(each)
        if len(waiting) == PIECE:
            accepted.pieces.append(_piece(waiting))
            waiting = []
    if waiting:
        accepted.pieces.append(_piece(waiting))


def _piece(entries: list[BatchEntry]) -> Piece:
    lines = b"".join((each.envelope or b"") + b"\n" for each in entries)
    leaves = b"".join(each.leaf for each in entries)
    return Piece(entries[0].sequence, len(entries), leaves, zlib.compress(lines, _LEVEL))


def _note(entry: BatchEntry, findings: Findings) -> None:
    if entry.statement is None:
        return
    wall = entry.statement.predicate.clock.wall
    findings.first_wall = findings.first_wall or wall
    findings.last_wall = wall
    if not isinstance(entry.statement, Event):
        return
    event = entry.statement.predicate.event
    findings.gaps += event.get("absence") is not None or entry.kind == _DAMAGE
    findings.next_key = named_key(entry.statement) or findings.next_key
    if entry.kind == _OPENED and isinstance(event.get("previous"), dict):
        origin = event["previous"].get("origin")
        findings.previous = origin if isinstance(origin, str) else None


def _take_blobs(batch: Batch, blobs: BlobFiles, accepted: Accepted) -> None:
    brought = set()
    for each in batch.blobs():
        blobs.stage(accepted.staged, each.digest, each.stored)
        brought.add(each.digest)
    rest = accepted.named - brought
    accepted.missing = {each for each in rest if not blobs.holds(each)}
    accepted.staged.relied |= rest - accepted.missing
