"""A log's checkpoint on disk: the signed note, and an SSHSIG over the same text for those who have only OpenSSH.

A checkpoint counts when the note is in place; the SSHSIG goes first and is made again where a crash parted them.
"""

from __future__ import annotations

import contextlib
from functools import partial

from evidence import mark, note, sshsig
from evidence.errors import DamageError, EvidenceError, FormatError, SignatureError
from evidence.keys import PrivateKey, PublicKey
from evidence.note import Checkpoint, Verifier
from evidence.state import Folder
from evidence.waiting import all_together

NAME = "checkpoint"
SSHSIG = "checkpoint.sshsig"
_COPY = ".copy"
_LIMIT = 16 * 1024


def write(log: Folder, checkpoint: Checkpoint, key: PrivateKey) -> None:
    """Sign how large the log is, durably. Raises: OSError."""
    text = checkpoint.text()
    log.stage(SSHSIG, sshsig.sign(text.encode(), key).encode())
    log.stage(NAME, note.sign(text, checkpoint.origin, key).encode())
    all_together([partial(log.sync_staged, SSHSIG), partial(log.sync_staged, NAME)])
    log.publish(SSHSIG)
    log.publish(NAME)
    mark.move(log, checkpoint.size)  # last: no crash leaves a mark ahead of what can be recovered
    log.sync()


def read(log: Folder, origin: str, key: PublicKey) -> Checkpoint:
    """Return the checkpoint whose signature verifies. Raises: FileNotFoundError, DamageError."""
    return parse(log.read(NAME, _LIMIT), log.where(NAME), origin, key)


def parse(data: bytes, where: str, origin: str, key: PublicKey) -> Checkpoint:
    """Return the checkpoint in a note that this log's key signed. Raises: DamageError."""
    try:
        found = note.parse(data, where)
        note.verify(found, [Verifier(origin, key)], where)
        checkpoint = Checkpoint.parse(found.text, where)
    except EvidenceError as error:
        raise DamageError(where, error.expected, error.found) from None
    if checkpoint.origin != origin:
        raise DamageError(where, "the checkpoint of its log", "one of another")
    return checkpoint


def read_note(log: Folder) -> bytes:
    """Return the note as it is stored, unchecked. Raises: FileNotFoundError, DamageError."""
    return log.read(NAME, _LIMIT)


def read_sshsig(log: Folder) -> str:
    """Return the SSHSIG as it is stored, unchecked. Raises: FileNotFoundError, DamageError."""
    try:
        return log.read(SSHSIG, _LIMIT).decode("ascii")
    except UnicodeDecodeError:
        raise DamageError(log.where(SSHSIG), "an armoured signature", "other bytes") from None


def sshsig_fits(log: Folder, checkpoint: Checkpoint, key: PublicKey) -> bool:
    """Return whether the SSHSIG is there and is over this checkpoint."""
    try:
        sshsig.verify(read_sshsig(log), checkpoint.text().encode(), key)
    except (FileNotFoundError, DamageError, FormatError, SignatureError):
        return False
    return True


def holds(log: Folder, name: str, origin: str, key: PublicKey) -> bool:
    """Return whether a note or SSHSIG is there and verifies; the SSHSIG needs the note for its text."""
    try:
        checkpoint = read(log, origin, key)
    except (FileNotFoundError, DamageError):
        return False
    return name == NAME or sshsig_fits(log, checkpoint, key)


def keep_copy(log: Folder) -> None:
    """Keep the last checkpoint of a log twice: once its key is destroyed, nobody can sign it again."""
    for name in (NAME, SSHSIG):
        with contextlib.suppress(FileNotFoundError):
            log.replace(name + _COPY, log.read(name, _LIMIT))


def was_closed(log: Folder) -> bool:
    """Return whether another log followed this one once."""
    return log.facts(NAME + _COPY) is not None


def restore(log: Folder, name: str) -> bool:
    """Put the copy of a checkpoint file in its place again; return whether there is one."""
    try:
        log.replace(name, log.read(name + _COPY, _LIMIT))
    except (FileNotFoundError, DamageError):
        return False
    return True
