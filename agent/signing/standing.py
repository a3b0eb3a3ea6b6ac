"""Files of the outbox as they stand: looked at, held against the log, and put aside. None is ever removed here.

A file may be the last that is left of its entries: the state may have been lost, or put back to an older one.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from typing import Literal

import msgspec

from evidence.accepting import Known, acknowledged_alone
from evidence.batch_form import Place, place_of
from evidence.batch_head import CheckedBatch
from evidence.errors import EvidenceError, UnreadableError
from evidence.note import Verifier
from evidence.reader import StoreReader
from evidence.tree import HASH_BYTES

DAMAGED = ".damaged"
"""Behind the name of a file that is no sound batch; what bears it is no batch by its name, and is kept."""
_STEP = 1 << 20
Relation = Literal["ours", "beyond", "strange"]
"""Of a batch to the log of this state: which has all of it; of which it proves a longer or another history; neither."""


class Standing(msgspec.Struct, frozen=True):
    """A file of which every byte is as it must be."""

    head: CheckedBatch
    place: Place
    sha256: str
    bytes: int
    blobs: int


def names(folder: str) -> set[str]:
    """Return the names of batches in a folder; none if there is no folder. Raises: OSError."""
    try:
        return {name for name in os.listdir(folder) if place_of(name) is not None}
    except FileNotFoundError:
        return set()


def digest(path: str) -> str | None:
    """Return the SHA-256 of a file in hex, None if there is none. Raises: OSError."""
    found = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:
            while block := file.read(_STEP):
                found.update(block)
    except (FileNotFoundError, IsADirectoryError):
        return None
    return found.hexdigest()


def read(path: str) -> Standing | None:
    """Return a batch, all of it checked; None for a file that is none, or not that of its name. Raises: OSError."""
    from evidence.batch_read import open_batch  # noqa: PLC0415  seldom needed, and slow to load

    facts = os.lstat(path)
    if not stat.S_ISREG(facts.st_mode):
        return None
    try:
        with open_batch(path) as batch:
            head = batch.check()
            for _ in batch.blobs():
                pass
            found = Standing(head, batch.place, digest(path) or "", facts.st_size, batch.manifest.counts.blobs)
    except EvidenceError:
        return None
    return found if found.place == place_of(os.path.basename(path)) else None


def relation(state: str, found: Standing) -> Relation:
    """Return how a batch stands to the log that this state has, or has not. Raises: UnreadableError."""
    try:
        with StoreReader(state) as reader:
            size = reader.signed_size(found.place.log_id).size
            if found.place.size > size:
                return "beyond"
            return _compared(reader, found)
    except UnreadableError:
        raise
    except EvidenceError:
        return "strange"


def _compared(reader: StoreReader, found: Standing) -> Relation:
    log_id, first, size = found.place
    whole = True
    for each in reader.entries(log_id, first, size):
        at = (each.sequence - first) * HASH_BYTES
        if each.leaf != found.head.leaves[at : at + HASH_BYTES]:
            return "beyond"
        whole = whole and each.envelope is not None
    return "ours" if whole else "strange"


def can_be_written(state: str, place: Place) -> bool:
    """Return whether the log has every entry of a batch: what damage took may be in the batch alone."""
    try:
        with StoreReader(state) as reader:
            entries = reader.entries(place.log_id, place.first, place.size)
            return sum(each.envelope is not None for each in entries) == place.size - place.first
    except EvidenceError:
        return False


def check_acknowledged(path: str, data: bytes, verifiers: Sequence[Verifier]) -> None:
    """Check an answer by nothing but the batch it is about. Raises: EvidenceError, OSError."""
    from evidence.batch_read import open_batch  # noqa: PLC0415  as above

    with open_batch(path) as batch:
        head = batch.check()
    known = Known(origin=head.origin, key=head.key, size=head.size, verifiers=tuple(verifiers), covers=head.size)
    acknowledged_alone(data, known, head.checkpoint.root)


def set_aside(folder: str, name: str) -> str:
    """Give a file that is no sound batch a name by which it is taken for none, and return that. Raises: OSError."""
    path = os.path.join(folder, name)
    aside, number = path + DAMAGED, 1
    while os.path.lexists(aside):
        number += 1
        aside = f"{path}{DAMAGED}.{number}"
    os.rename(path, aside)
    return os.path.basename(aside)


def are_aside(folder: str) -> list[str]:
    """Return the names of files that were put aside. Raises: OSError."""
    found = ((each, each.partition(DAMAGED)) for each in os.listdir(folder))
    return sorted(each for each, (name, mark, _) in found if mark and place_of(name) is not None)
