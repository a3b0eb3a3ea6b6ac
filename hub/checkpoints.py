"""Checkpoints that arrive: whether the log's key signed them, and whether they contradict what is known."""

from __future__ import annotations

from evidence import note
from evidence.errors import EvidenceError, SignatureError
from evidence.note import Checkpoint, Note, Verifier
from hub.database import Database
from hub.forks import Fork, ForkError
from hub.log_state import LogState, frontier_at
from hub.problem import Problem


def signed(data: bytes, state: LogState) -> tuple[Checkpoint, Note]:
    """Return a checkpoint of a log, and the note with the log's own line alone. Raises: Problem."""
    try:
        found = note.parse(data, "checkpoint")
        checkpoint = Checkpoint.parse(found.text)
        verifier = Verifier(state.origin, state.owner.key)
        note.verify(found, [verifier], "checkpoint")
    except SignatureError as error:
        raise Problem("signature", f"{error}") from None
    except EvidenceError as error:
        raise Problem("malformed", f"{error}") from None
    if checkpoint.origin != state.origin:
        raise Problem("malformed", f"checkpoint: expected one of {state.origin}, found another origin")
    own = next(each for each in found.lines if (each.name, each.key_id) == (verifier.name, verifier.key_id))
    return checkpoint, Note(found.text, (own,))


def check_known(database: Database, state: LogState, checkpoint: Checkpoint, arrived: Note) -> None:
    """Compare a checkpoint with the entries that are stored and with the one that was witnessed. Raises: ForkError."""
    if state.note is not None and checkpoint.size <= state.size:
        root = frontier_at(database, state, checkpoint.size).root()
        _compare(state.id, state.note, arrived, checkpoint.size, (root, checkpoint.root))
    witnessed = state.witnessed
    if state.witness is not None and witnessed is not None and witnessed.size == checkpoint.size:
        _compare(state.id, state.witness, arrived, checkpoint.size, (witnessed.root, checkpoint.root))


def _compare(log_id: str, known: Note, other: Note, at: int, roots: tuple[bytes, bytes]) -> None:
    if roots[0] != roots[1]:
        why = f"the log was signed with another history of its first {at} entries before"
        raise ForkError(Fork(log_id, known, other, at, roots[0], roots[1], why))
