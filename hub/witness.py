"""`add-checkpoint` of C2SP tlog-witness: a cosignature over a checkpoint that is consistent with the last one.

It says nothing of entries and has a key of its own; what it cosigned last is kept apart from what is stored.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from evidence import strict_base64, tree
from evidence.errors import EvidenceError, ProofError
from evidence.note import MAX_NUMBER, Checkpoint
from hub.checkpoints import check_known, signed
from hub.database import Database
from hub.log_state import LogState, ensure_row, load
from hub.problem import Problem, StandsElsewhere
from hub.registry import log_id_of
from hub.signing import Cosigner

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})\Z")


class Submission(NamedTuple):
    """What the call sends: the size it builds on, the proof from there, and the note."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes
    origin: str


def parse(body: bytes) -> Submission:
    """Return the parts of a body. Raises: Problem 400."""
    head, empty_line, note_bytes = body.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
        origin = note_bytes.partition(b"\n")[0].decode("utf-8")
    except UnicodeDecodeError:
        raise Problem("malformed", "expected the text of a checkpoint submission, found other bytes") from None
    old = _OLD.match(lines[0])
    if not empty_line or old is None or int(old[1]) > MAX_NUMBER:
        raise Problem("malformed", "expected a line with the old size, proof lines and an empty line") from None
    if len(lines) - 1 > tree.MAX_PROOF:
        raise Problem("malformed", f"expected at most {tree.MAX_PROOF} proof lines, found {len(lines) - 1}")
    try:
        proof = tuple(strict_base64.decode(each, "proof") for each in lines[1:])
    except EvidenceError as error:
        raise Problem("malformed", f"{error}") from None
    if any(len(each) != tree.HASH_BYTES for each in proof):
        raise Problem("malformed", f"proof: expected hashes of {tree.HASH_BYTES} bytes, found others")
    return Submission(int(old[1]), proof, note_bytes, origin)


def log_of(submission: Submission) -> str:
    """Return the log id that a submission is about. Raises: Problem 404."""
    log_id = log_id_of(submission.origin)
    if log_id is None:
        raise Problem("unknown", "no log of that origin is known")
    return log_id


def add_checkpoint(database: Database, cosigner: Cosigner, submission: Submission, now: int) -> bytes:
    """Cosign a checkpoint and return the line, once it is on disk that it was.

    The caller keeps other requests for the same log away. Raises: Problem, StandsElsewhere, ForkError.
    """
    state = load(database, log_of(submission))
    if state is None:
        raise Problem("unknown", "no log of that origin is known")
    checkpoint, own = signed(submission.note, state)
    if submission.old > checkpoint.size:
        raise Problem("malformed", f"expected an old size of at most {checkpoint.size}, found {submission.old}")
    last = state.witnessed
    if submission.old != (0 if last is None else last.size):
        raise StandsElsewhere(0 if last is None else last.size)
    check_known(database, state, checkpoint, own)
    _check_proof(last, checkpoint, submission)
    line = cosigner.line(own.text, now)
    _keep(database, state, checkpoint, own.with_line(line).encode())
    return line.text().encode()


def _check_proof(last: Checkpoint | None, checkpoint: Checkpoint, submission: Submission) -> None:
    old_root = tree.EMPTY_ROOT if last is None else last.root
    try:
        tree.verify_consistency(submission.old, old_root, checkpoint.size, checkpoint.root, submission.proof)
    except ProofError as error:
        raise Problem("inconsistent", f"{error}") from None


def _keep(database: Database, state: LogState, checkpoint: Checkpoint, note: bytes) -> None:
    with database.transaction() as connection:
        number = ensure_row(connection, state)
        connection.execute(
            "UPDATE logs SET witness_size = ?, witness_note = ? WHERE number = ?", (checkpoint.size, note, number)
        )
