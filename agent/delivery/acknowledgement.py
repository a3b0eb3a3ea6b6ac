"""Whether a note is an acknowledgement: docs/hub-protocol.md, section 7. A status never is one."""

from __future__ import annotations

from agent.delivery.errors import AnswerError
from agent.delivery.outbox import Outgoing
from evidence import note
from evidence.errors import EvidenceError
from evidence.note import Checkpoint, Verifier
from evidence.order import origin_of


def checkpoint_of(data: bytes, log_id: str, hub: Verifier, where: str) -> Checkpoint:
    """Return the checkpoint by which a hub says how much of a log it has.

    The log's own line is left to whoever has its key: what follows from this is no more than what is sent again.
    Raises: AnswerError for anything else, by what it is.
    """
    try:
        found = note.parse(data, where)
        checkpoint = Checkpoint.parse(found.text, where)
        note.verify(found, [hub], where)
    except EvidenceError as error:
        raise AnswerError(where, f"a checkpoint: {error.expected}", error.found) from None
    if checkpoint.origin != origin_of(log_id):
        raise AnswerError(where, f"a checkpoint of {log_id}", "one of another log")
    return checkpoint


def check(data: bytes, batch: Outgoing, hub: Verifier, where: str) -> Checkpoint:
    """Return the checkpoint by which a hub says that it has all entries of a batch, and maybe more.

    Its root at another size than the batch's is for the signer to compare, who has the log.
    Raises: AnswerError for anything else, by what it is.
    """
    try:
        found = note.parse(data, where)
        checkpoint = Checkpoint.parse(found.text, where)
        if checkpoint.origin != batch.head.origin:
            raise AnswerError(where, f"an acknowledgement for {batch.place.log_id}", "one for another log")
        note.verify(found, [Verifier(checkpoint.origin, batch.head.key)], where)
        note.verify(found, [hub], where)
    except EvidenceError as error:
        raise AnswerError(where, f"an acknowledgement: {error.expected}", error.found) from None
    if checkpoint.size < batch.place.size:
        raise AnswerError(where, f"an acknowledgement of {batch.place.size} entries", f"one of {checkpoint.size}")
    if checkpoint.size == batch.place.size and checkpoint.root != batch.head.checkpoint.root:
        raise AnswerError(where, "an acknowledgement of this tree", "one of another")
    return checkpoint
