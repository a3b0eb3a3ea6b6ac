"""What a batch is made of, gathered from a store that is open for writing.

A checkpoint is signed for the size of each batch. It is one of the log that was signed already: nothing is signed
before all leaves are known to give the root of the log's own checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import msgspec

from evidence import batch_range, identity, note, prune, sshsig
from evidence.batch import Contents, signed_part
from evidence.batch_form import Place
from evidence.batch_range import Choice, Stored
from evidence.errors import FormatError, LimitError, ProofError, SignatureError, StateError
from evidence.history import rows_of, trees_at
from evidence.index import Row
from evidence.journal import Journal
from evidence.note import Checkpoint, Note
from evidence.order import log_ids
from evidence.reader import StoreReader


class Wanted(msgspec.Struct, frozen=True):
    """Which batch is to be written; `size` is None for as many entries as fit into `limit_bytes`."""

    folder: str
    """Where it goes; one of the same entries may stand there."""
    log_id: str
    first: int
    size: int | None
    limit_bytes: int
    with_blobs: bool


def gathered(journal: Journal, reader: StoreReader, wanted: Wanted) -> Contents:
    """Return the contents of a batch. Raises: StateError if there are no such entries; DamageError; OSError."""
    signed = reader.signed_size(wanted.log_id)
    rows = journal.rows_of(wanted.log_id)[: signed.size]
    stop = signed.size if wanted.size is None else wanted.size
    if not 0 <= wanted.first < stop <= signed.size:
        found = f"{signed.size} entries"
        raise StateError(f"log {wanted.log_id}", f"entries {wanted.first} to {stop - 1}", found)
    choice = _choice(journal, rows, wanted, stop)
    place = Place(wanted.log_id, wanted.first, choice.size)
    before, tree = trees_at(rows, signed, [place.first, place.size])
    checkpoint = Checkpoint(signed.origin, place.size, tree.root())
    leaves = b"".join(each.leaf for each in rows[place.first : place.size])
    part = signed_part(reader, place, leaves, checkpoint, *_signature(journal, reader, wanted, checkpoint, signed))
    return Contents(place, part, before, frozenset(each.hex() for each in choice.blobs))


def _choice(journal: Journal, rows: Sequence[Row], wanted: Wanted, stop: int) -> Choice:
    """Return how far the batch goes, and which blobs it brings."""
    stored = Stored(lambda digest: _stored_size(journal, digest.hex()), lambda row: _pruned_by(journal, row))
    before = _before(journal, rows, wanted) if wanted.with_blobs else None
    # Nobody can sign for a part of a log whose key was destroyed: what is left of it goes in one piece.
    if wanted.size is None and journal.key_of(wanted.log_id) is not None:
        return batch_range.choose(rows, wanted.first, before, stored, wanted.limit_bytes)
    brought = set() if before is None else batch_range.brought(rows[wanted.first : stop], before, stored)
    return Choice(stop, frozenset(brought))


def _before(journal: Journal, rows: Sequence[Row], wanted: Wanted) -> Iterator[Row]:
    """Yield the rows in front of the batch, newest first, those of earlier logs behind those of its own."""
    yield from (rows[at] for at in range(wanted.first - 1, -1, -1))
    ids = log_ids(journal.layout.logs, identity.current_log(journal.layout.keys))
    for log_id in reversed(ids[: ids.index(wanted.log_id)]):
        yield from reversed(rows_of(journal.layout, journal.index, log_id))


def _stored_size(journal: Journal, name: str) -> int:
    try:
        facts = journal.blobs.folder_of(name).facts(name)
    except FileNotFoundError:
        return 0
    return 0 if facts is None else facts.st_size


def _pruned_by(journal: Journal, row: Row) -> frozenset[bytes]:
    return frozenset(bytes.fromhex(each) for each in prune.pruned_by(row, journal.blobs))


def _signature(
    journal: Journal, reader: StoreReader, wanted: Wanted, checkpoint: Checkpoint, signed: Checkpoint
) -> tuple[Note, str]:
    """Return the note and the SSHSIG for the size of a batch: signed now, or as they were before the key went."""
    key = journal.key_of(wanted.log_id)
    if key is not None:
        text = checkpoint.text()
        return note.sign(text, checkpoint.origin, key), sshsig.sign(text.encode(), key)
    if checkpoint.size == signed.size:
        stored = note.parse(reader.checkpoint(wanted.log_id), f"checkpoint of {wanted.log_id}")
        return Note(stored.text, stored.lines[:1]), reader.sshsig(wanted.log_id)
    # It brings the auditor's script along, which is a lot to load for what is hardly ever needed.
    from evidence.batch_read import open_batch  # noqa: PLC0415

    path = os.path.join(wanted.folder, Place(wanted.log_id, wanted.first, checkpoint.size).file_name)
    try:
        with open_batch(path) as standing:
            checked = standing.check(reader.public_key(wanted.log_id))
    except (OSError, FormatError, LimitError, ProofError, SignatureError):
        step = "its key was destroyed, and nobody can sign for a part of it"
        expected = f"a batch up to its last entry {signed.size - 1}, or one to replace"
        raise StateError(f"log {wanted.log_id}", expected, "another", step) from None
    return checked.note, checked.armoured
