"""What a batch is made of, gathered from a store that is open for writing.

A checkpoint is signed for the size of each batch. It is one of the log that was signed already: nothing is signed
before all leaves are known to give the root of the log's own checkpoint. Once the key was destroyed, a batch ends where
a signature is left: at one of the log's steps, where a batch ends that stands there, or at the end of the log.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

import msgspec

from evidence import batch_range, identity, keyring, note, prune, sshsig, steps
from evidence.batch import Contents, signed_part
from evidence.batch_form import Place, place_of
from evidence.batch_range import Choice, Stored
from evidence.errors import FormatError, LimitError, ProofError, SignatureError, StateError
from evidence.history import rows_of, trees_at
from evidence.index import Row
from evidence.journal import Journal
from evidence.note import Checkpoint, Note
from evidence.order import log_ids, origin_of
from evidence.reader import StoreReader

Steps = dict[int, tuple[Note, str]]
"""Note and SSHSIG by size."""


class Wanted(msgspec.Struct, frozen=True):
    """Which batch is to be written: up to `size`, or as many entries in front of `up_to` as fit into `limit_bytes`."""

    folder: str
    """Where it goes; one of the same entries may stand there."""
    log_id: str
    first: int
    size: int | None
    up_to: int | None
    limit_bytes: int
    with_blobs: bool


def gathered(journal: Journal, reader: StoreReader, wanted: Wanted) -> Contents:
    """Return the contents of a batch. Raises: StateError if there are no such entries; DamageError; OSError."""
    signed = reader.signed_size(wanted.log_id)
    rows = journal.rows_of(wanted.log_id)[: signed.size]
    stop = next((each for each in (wanted.size, wanted.up_to) if each is not None), signed.size)
    if not 0 <= wanted.first < stop <= signed.size:
        found = f"{signed.size} entries"
        raise StateError(f"log {wanted.log_id}", f"entries {wanted.first} to {stop - 1}", found)
    left = _left(journal, wanted.log_id)
    choice = _choice(journal, rows, wanted, stop, None if left is None else {*left, signed.size})
    place = Place(wanted.log_id, wanted.first, choice.size)
    before, tree = trees_at(rows, signed, [place.first, place.size])
    checkpoint = Checkpoint(signed.origin, place.size, tree.root())
    leaves = b"".join(each.leaf for each in rows[place.first : place.size])
    part = signed_part(reader, place, leaves, checkpoint, *_signature(journal, reader, wanted, checkpoint, left))
    return Contents(place, part, before, frozenset(each.hex() for each in choice.blobs))


def cut(journal: Journal, log_id: str, first: int, size: int) -> int | None:
    """Return where a batch can be cut in two, near its middle; None if it cannot. Raises: StateError, OSError."""
    left = _left(journal, log_id)
    sizes = range(first + 1, size) if left is None else [each for each in left if first < each < size]
    middle = (first + size) // 2
    return min(sizes, key=lambda each: abs(each - middle), default=None)


def _left(journal: Journal, log_id: str) -> Steps | None:
    """Return what a log whose key was destroyed has left signed, by size; None where the key can sign any size."""
    if journal.key_of(log_id) is not None:
        return None
    log = journal.layout.logs.folder(log_id)
    try:
        return steps.read(log, keyring.public(journal.layout.keys, log, log_id.partition("-")[0]), origin_of(log_id))
    finally:
        log.close()


def _choice(journal: Journal, rows: Sequence[Row], wanted: Wanted, stop: int, ends: set[int] | None) -> Choice:
    """Return how far the batch goes, and which blobs it brings; `ends` are all sizes that are signed, None for any."""
    stored = Stored(lambda digest: journal.blobs.stored_size(digest.hex()), lambda row: _pruned_by(journal, row))

    def before() -> Iterator[Row] | None:
        return _before(journal, rows, wanted) if wanted.with_blobs else None

    if wanted.size is None:
        choice = batch_range.choose(rows[:stop], wanted.first, before(), stored, wanted.limit_bytes)
        if ends is None:
            return choice
        behind = sorted(each for each in ends if each > wanted.first)
        stop = max((each for each in behind if each <= choice.size), default=behind[0])
    found = before()
    brought = set() if found is None else batch_range.brought(rows[wanted.first : stop], found, stored)
    return Choice(stop, frozenset(brought))


def _before(journal: Journal, rows: Sequence[Row], wanted: Wanted) -> Iterator[Row]:
    """Yield the rows in front of the batch, newest first, those of earlier logs behind those of its own."""
    yield from (rows[at] for at in range(wanted.first - 1, -1, -1))
    ids = log_ids(journal.layout.logs, identity.current_log(journal.layout.keys))
    for log_id in reversed(ids[: ids.index(wanted.log_id)]):
        yield from reversed(rows_of(journal.layout, journal.index, log_id))


def _pruned_by(journal: Journal, row: Row) -> frozenset[bytes]:
    return frozenset(bytes.fromhex(each) for each in prune.pruned_by(row, journal.blobs))


def _signature(
    journal: Journal, reader: StoreReader, wanted: Wanted, checkpoint: Checkpoint, left: Steps | None
) -> tuple[Note, str]:
    """Return the note and the SSHSIG for the size of a batch: signed now, or as they were before the key went."""
    key = journal.key_of(wanted.log_id)
    if key is not None:
        text = checkpoint.text()
        return note.sign(text, checkpoint.origin, key), sshsig.sign(text.encode(), key)
    if checkpoint.size == reader.signed_size(wanted.log_id).size:
        stored = note.parse(reader.checkpoint(wanted.log_id), f"checkpoint of {wanted.log_id}")
        return Note(stored.text, stored.lines[:1]), reader.sshsig(wanted.log_id)
    found = (left or {}).get(checkpoint.size) or _standing(reader, wanted, checkpoint)
    if found is None:
        step = "its key was destroyed, and nobody can sign for a part of it"
        expected = f"a batch up to its last entry {reader.signed_size(wanted.log_id).size - 1}, or one to replace"
        raise StateError(f"log {wanted.log_id}", expected, "another", step)
    return found


def _standing(reader: StoreReader, wanted: Wanted, checkpoint: Checkpoint) -> tuple[Note, str] | None:
    """Return what a batch that ends there was signed with, if there is one."""
    # It brings the auditor's script along, which is a lot to load for what is hardly ever needed.
    from evidence.batch_read import open_batch  # noqa: PLC0415

    key = reader.public_key(wanted.log_id)
    for name in sorted(os.listdir(wanted.folder)):
        place = place_of(name)
        if place is not None and (place.log_id, place.size) == (wanted.log_id, checkpoint.size):
            with contextlib.suppress(OSError, FormatError, LimitError, ProofError, SignatureError):
                with open_batch(os.path.join(wanted.folder, name)) as standing:
                    checked = standing.check(key)
                if checked.checkpoint == checkpoint:
                    return checked.note, checked.armoured
    return None
