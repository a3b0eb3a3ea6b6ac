"""Taking an acknowledgement in: a note that our own log signed, of a tree that it has, and that a known key cosigned.

What is anything else is no acknowledgement, and is kept for people to look at (`rejected/`, the first 100 of a log).
What our own key signed and our own log does not have is kept as the proof that the state was put back: the log is not
gone on with (`evidence.opening`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from evidence import note, receipts, sshsig
from evidence.errors import EvidenceError, LimitError
from evidence.keys import PrivateKey, PublicKey
from evidence.note import Checkpoint, Note, SignatureLine, Verified, Verifier
from evidence.predicates import Receipt
from evidence.receipts import FORK, REJECTED, SSHSIG, VKEYS, Kept, name_of
from evidence.state import Folder

_MAX_REJECTED = 100
_NAME_DIGITS = 16


class ReceiptError(EvidenceError):
    """An answer that is no acknowledgement; it was kept."""


class RestoredError(ReceiptError):
    """Our own key signed what our log does not have: the next entry begins a new epoch."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """An acknowledgement that holds: this log up to `size` was seen by those who are named."""

    log_id: str
    size: int
    receipts: tuple[Receipt, ...]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer is held against: the log, and whom we know."""

    origin: str
    key: PublicKey
    size: int
    """How many entries the log has."""
    verifiers: tuple[Verifier, ...]
    covers: int
    """The size that has to be acknowledged."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A note that our log signed."""

    note: Note
    checkpoint: Checkpoint


def read(data: bytes, known: Known) -> Answer:
    """Return the checkpoint of our log in an answer. Raises: EvidenceError if it is anything else."""
    where = "answer"
    if len(data) > receipts.LIMIT:
        raise LimitError(where, f"at most {receipts.LIMIT} bytes", "more")
    found = note.parse(data, where)
    note.verify(found, [Verifier(known.origin, known.key)], where)
    checkpoint = Checkpoint.parse(found.text, where)
    if checkpoint.origin != known.origin:
        raise ReceiptError(where, f"a checkpoint of {known.origin}", "one of another log")
    return Answer(note=found, checkpoint=checkpoint)


def acknowledged(answer: Answer, known: Known) -> tuple[Verified, ...]:
    """Return who acknowledges what was to be acknowledged. Raises: EvidenceError."""
    where = "answer"
    cosigned = receipts.cosigners(answer.note, list(known.verifiers), where)
    if answer.checkpoint.size < known.covers:
        raise ReceiptError(where, f"a size of {known.covers} or more", f"{answer.checkpoint.size}")
    return cosigned


def acknowledged_alone(data: bytes, known: Known, root: bytes) -> tuple[Verified, ...]:
    """Return who acknowledges a batch that nobody but itself can speak for: its log is not in this state any more.

    `known` and `root` are what its own checkpoint says. Of a tree that has grown since, the log's signature and that of
    whom we know are all there is: they had compared the leaves before they answered. Raises: EvidenceError.
    """
    answer = read(data, known)
    cosigned = acknowledged(answer, known)
    if answer.checkpoint.size == known.size and answer.checkpoint.root != root:
        raise ReceiptError("answer", "the tree of the batch", "another of its size")
    return cosigned


def keep(folder: Folder, answer: Answer, cosigned: Sequence[Verified], known: Known, key: PrivateKey | None) -> None:
    """Keep an acknowledgement if it is newer than what one of its cosigners gave before; durable when this returns.

    Without the private key, which may be gone, there is no SSHSIG beside it. Raises: OSError.
    """
    size = answer.checkpoint.size
    kept, _ = receipts.load(folder, known.origin, known.key)
    new = [each for each in cosigned if _newest_of(kept, each.verifier) < size]
    if new:
        _write(folder, answer, new, next((each for each in kept if each.name == name_of(size)), None), known, key)
    _drop_older(folder, known)


def _write(
    folder: Folder, answer: Answer, new: list[Verified], there: Kept | None, known: Known, key: PrivateKey | None
) -> None:
    """Write a note with the lines of those who cosigned it now, behind those of a note that is there already."""
    size = answer.checkpoint.size
    before = () if there is None else there.cosigned
    lines = [_line_of(answer.note, Verifier(known.origin, known.key))]
    lines += [] if there is None else [_line_of(there.note, each.verifier) for each in before]
    lines += [_line_of(answer.note, each.verifier) for each in new]
    vkeys = [each.verifier.key.vkey(each.verifier.name, each.verifier.kind) + "\n" for each in (*before, *new)]
    if key is not None:
        folder.replace(name_of(size) + SSHSIG, sshsig.sign(answer.note.text.encode(), key).encode())
    folder.replace(name_of(size) + VKEYS, "".join(vkeys).encode())
    folder.replace(name_of(size), Note(answer.note.text, tuple(lines)).encode())


def keep_proof(folder: Folder, answer: Answer, *, fork: bool) -> None:
    """Keep what our own key signed and our own log does not have. Raises: OSError."""
    size = answer.checkpoint.size
    folder.replace(FORK + name_of(size) if fork else name_of(size), answer.note.encode())


def reject(folder: Folder, data: bytes) -> None:
    """Keep an answer that is no acknowledgement, as it came, up to a limit. Raises: OSError."""
    name = hashlib.sha256(data).hexdigest()[:_NAME_DIGITS]
    rejected = folder.folder(REJECTED, create=True)
    try:
        if len(rejected.names()) < _MAX_REJECTED and rejected.facts(name) is None:
            rejected.replace(name, data[: receipts.LIMIT])
    finally:
        rejected.close()


def _newest_of(kept: Sequence[Kept], verifier: Verifier) -> int:
    """Return the largest size that a cosigner has signed, -1 if it has signed none."""
    sizes = (each.checkpoint.size for each in kept if any(seen.verifier == verifier for seen in each.cosigned))
    return max(sizes, default=-1)


def _line_of(found: Note, verifier: Verifier) -> SignatureLine:
    return next(each for each in found.lines if (each.name, each.key_id) == (verifier.name, verifier.key_id))


def _drop_older(folder: Folder, known: Known) -> None:
    """Remove notes of which every cosigner has signed a larger one, and what a killed process left half-done."""
    kept, _ = receipts.load(folder, known.origin, known.key)
    names = folder.names()
    dropped = {each.name for each in kept if each.cosigned and _is_superseded(each, kept)}
    for name in names:
        note_name = name.removesuffix(VKEYS).removesuffix(SSHSIG)
        if name.startswith(".") or (note_name != name and (note_name in dropped or note_name not in names)):
            dropped.add(name)
    for name in sorted(dropped):  # a note goes before what stands beside it
        folder.remove(name)
    if dropped:
        folder.sync()


def _is_superseded(found: Kept, kept: Sequence[Kept]) -> bool:
    return all(_newest_of(kept, seen.verifier) > found.checkpoint.size for seen in found.cosigned)
