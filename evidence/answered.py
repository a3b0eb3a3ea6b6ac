"""What becomes of an answer to a batch: held against the log as it is on disk, and kept as what it is."""

from __future__ import annotations

from evidence import accepting, keyring, receipts, signed_size
from evidence.accepting import Accepted, Answer, Known, ReceiptError, RestoredError
from evidence.errors import DamageError, EvidenceError, StateError
from evidence.history import trees_at
from evidence.journal import Journal
from evidence.keys import PublicKey
from evidence.note import Checkpoint, Verifier
from evidence.order import is_log_id, origin_of
from evidence.state import Folder


def answered(journal: Journal, log_id: str, data: bytes, verifiers: tuple[Verifier, ...], covers: int) -> Accepted:
    """Return what an answer acknowledges, which is kept when this returns.

    Raises: ReceiptError, RestoredError; StateError if there is no such log; DamageError; OSError.
    """
    key, signed = _signed(journal, log_id)
    known = Known(origin=signed.origin, key=key, size=signed.size, verifiers=verifiers, covers=covers)
    with receipts.opened(journal.layout.root, log_id, create=True) as folder:
        if folder is None:
            raise StateError(journal.layout.root.path, "the folder of receipts", "none")
        try:
            answer = accepting.read(data, known)
            _check_tree(journal, log_id, folder, answer, signed)
            cosigned = accepting.acknowledged(answer, known)
        except (RestoredError, StateError):
            raise
        except EvidenceError as error:
            accepting.reject(folder, data)
            raise ReceiptError(f"answer for log {log_id}", error.expected, error.found) from None
        accepting.keep(folder, answer, cosigned, known, journal.key_of(log_id))
        journal.remember_receipt(log_id, receipts.latest(receipts.load(folder, known.origin, key)[0]))
    size = answer.checkpoint.size
    return Accepted(log_id=log_id, size=size, receipts=tuple(receipts.said(each, size) for each in cosigned))


def _signed(journal: Journal, log_id: str) -> tuple[PublicKey, Checkpoint]:
    """Return the key and the checkpoint of a log."""
    if not is_log_id(log_id) or journal.layout.logs.facts(log_id) is None:
        raise StateError(journal.layout.root.path, f"a log {log_id}", "none", "see the list of logs")
    log = journal.layout.logs.folder(log_id)
    try:
        key = keyring.public(journal.layout.keys, log, log_id.partition("-")[0])
        return key, signed_size.read(log, origin_of(log_id), key)
    except FileNotFoundError:
        raise DamageError(f"log {log_id}", "a checkpoint", "none") from None
    finally:
        log.close()


def _check_tree(journal: Journal, log_id: str, folder: Folder, answer: Answer, signed: Checkpoint) -> None:
    """Check that our log has what our key signed; if it has not, keep the proof. Raises: RestoredError."""
    size = answer.checkpoint.size
    step = "the state was put back to an older one; the next entry begins a new epoch"
    if size > signed.size:
        accepting.keep_proof(folder, answer, fork=False)
        raise RestoredError(f"log {log_id}", f"at most {signed.size} entries, as it has", f"{size}, signed", step)
    (tree,) = trees_at(journal.rows_of(log_id), signed, [size])
    if tree.root() != answer.checkpoint.root:
        accepting.keep_proof(folder, answer, fork=True)
        raise RestoredError(f"log {log_id}", f"its own tree of {size} entries", "another one, signed", step)
