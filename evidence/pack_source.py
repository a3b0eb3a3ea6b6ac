"""What a pack is written from: the reading side of the store, as far as a pack needs it, checked once more.

A pack must never carry what its own verifier would refuse, so signatures and the root are checked before a byte
is written, and each entry against its leaf on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import msgspec

from evidence import note, sshsig, tree
from evidence.errors import DamageError
from evidence.keys import PublicKey
from evidence.note import Checkpoint, Note, Verifier
from evidence.receipts import Cosigned

Protection = Literal["file", "sealed", "memory"]
_ATTEMPTS = 20


class LogInfo(Protocol):
    """One log of a store."""

    @property
    def id(self) -> str:
        """Return the log id of file names."""

    @property
    def origin(self) -> str:
        """Return the origin in its checkpoints."""


class StoredEntry(Protocol):
    """One entry as it is stored."""

    @property
    def sequence(self) -> int:
        """Return the index of its leaf."""

    @property
    def envelope(self) -> bytes | None:
        """Return the DSSE envelope on one line without its newline; None if damage has taken the entry."""

    @property
    def payload(self) -> bytes | None:
        """Return the payload in the envelope."""


class PackSource(Protocol):
    """The reading side of `evidence.log.EvidenceStore`."""

    def logs(self) -> Sequence[LogInfo]:
        """Return the logs, oldest first."""

    def public_key(self, log_id: str) -> PublicKey:
        """Return the key that signs a log."""

    def protection(self, log_id: str) -> Protection:
        """Return how the private key of a log was kept."""

    def checkpoint(self, log_id: str) -> bytes:
        """Return the latest signed note, with the cosignature lines that were received for it."""

    def sshsig(self, log_id: str) -> str:
        """Return the armoured SSH signature over the text of the latest note."""

    def receipt(self, log_id: str) -> Cosigned | None:
        """Return the newest checkpoint that someone cosigned, None if there is none."""

    def leaves(self, log_id: str) -> bytes:
        """Return the leaf hashes, at least up to the checkpoint's size."""

    def entries(self, log_id: str, start: int, stop: int) -> Iterator[StoredEntry]:
        """Yield the entries of a range in order."""

    def stored_blob(self, digest: str) -> bytes | None:
        """Return a blob's zlib data as it is stored, unchecked; None if it is not there."""


class SignedLog(msgspec.Struct, frozen=True):
    """A log up to its checkpoint, whose signatures and root have been checked."""

    id: str
    origin: str
    key: PublicKey
    protection: Protection
    note: Note
    checkpoint: Checkpoint
    signature: bytes
    armoured: str
    leaves: bytes

    @property
    def size(self) -> int:
        """Return how many entries the checkpoint covers."""
        return self.checkpoint.size

    def leaf(self, sequence: int) -> bytes:
        """Return the leaf hash of one entry."""
        return self.leaves[sequence * tree.HASH_BYTES : (sequence + 1) * tree.HASH_BYTES]


def signed_logs(source: PackSource) -> list[SignedLog]:
    """Return the logs that have entries, oldest first.

    Raises: EvidenceError if a signature or a root does not hold.
    """
    logs = [_signed_log(source, each) for each in source.logs()]
    return [each for each in logs if each.size]


def _signed_log(source: PackSource, info: LogInfo) -> SignedLog:
    key = source.public_key(info.id)
    signed, armoured = _matching_signatures(source, info, key)
    checkpoint = Checkpoint.parse(signed.text)
    leaves = source.leaves(info.id)[: checkpoint.size * tree.HASH_BYTES]
    where = f"log {info.id}"
    if checkpoint.origin != info.origin:
        raise DamageError(where, f"a checkpoint of {info.origin}", "one of another log")
    if tree.root(tree.split(leaves)) != checkpoint.root:
        raise DamageError(where, "leaves that give the signed root", "others")
    return SignedLog(
        id=info.id,
        origin=info.origin,
        key=key,
        protection=source.protection(info.id),
        note=signed,
        checkpoint=checkpoint,
        signature=signed.lines[0].signature,
        armoured=armoured,
        leaves=leaves,
    )


def cosigned_log(source: PackSource, log: SignedLog, least: int) -> SignedLog:
    """Return a log as it was when it was cosigned last, if it had at least so many entries; else as it is.

    Raises: DamageError if the cosigned checkpoint is of another tree.
    """
    found = source.receipt(log.id)
    if found is None or not least <= found.checkpoint.size <= log.size:
        return log
    armoured = found.armoured or (log.armoured if found.checkpoint == log.checkpoint else None)
    if armoured is None:  # a log that was closed before it was cosigned: nobody can sign this size for OpenSSH
        return log
    leaves = log.leaves[: found.checkpoint.size * tree.HASH_BYTES]
    if tree.root(tree.split(leaves)) != found.checkpoint.root:
        raise DamageError(f"receipt of log {log.id}", "the root of its leaves", "another")
    return msgspec.structs.replace(
        log,
        note=found.note,
        checkpoint=found.checkpoint,
        signature=found.note.lines[0].signature,
        armoured=armoured,
        leaves=leaves,
    )


def _matching_signatures(source: PackSource, info: LogInfo, key: PublicKey) -> tuple[Note, str]:
    """Return note and SSHSIG over the same text; a writer may be replacing both while they are read."""
    verifier = Verifier(info.origin, key)
    for attempt in range(_ATTEMPTS):
        signed = note.parse(source.checkpoint(info.id), f"checkpoint of {info.id}")
        note.verify(signed, [verifier], f"checkpoint of {info.id}")
        armoured = source.sshsig(info.id)
        if source.checkpoint(info.id) == signed.encode() or attempt == _ATTEMPTS - 1:
            break
    sshsig.verify(armoured, signed.text.encode(), key)
    first = signed.lines[0]
    if (first.name, first.key_id) != (verifier.name, verifier.key_id):
        raise DamageError(f"checkpoint of {info.id}", "the log's own signature line first", "another")
    return signed, armoured
