"""What goes wrong with evidence: one base, and children by what the caller can do about it."""

from __future__ import annotations


class EvidenceError(Exception):
    """Something is not as it must be: where, what was expected, what was found and the next step.

    The parts are words about the data, never the data itself: a key file or a row may hold a secret.
    """

    def __init__(self, where: str, expected: str, found: str, step: str = "") -> None:
        super().__init__(f"{where}: expected {expected}, found {found}" + (f"; {step}" if step else ""))
        self.where = where
        self.expected = expected
        self.found = found
        self.step = step


class FormatError(EvidenceError):
    """Bytes that are not in the form docs/formats.md gives: nothing in them may be used."""


class LimitError(EvidenceError):
    """More than a format allows: the producer must split or shorten it."""


class SignatureError(EvidenceError):
    """A signature that does not verify, or one that is missing."""


class ProofError(EvidenceError):
    """A Merkle proof that does not lead to the root it claims."""


class KeyFileError(EvidenceError):
    """A key file that is unsafe, unusable or in the way: the owner of the host must look."""


class StateError(EvidenceError):
    """The state folder cannot be used as it is."""


class PackError(EvidenceError):
    """A pack could not be written; nothing half is left behind."""


class BusyError(StateError):
    """Another program is writing to the state folder: wait for it, then try again."""


class UnsafeStateError(StateError):
    """Someone else could have read or changed the state: its owner must look before it is used."""


class NewerStateError(StateError):
    """The state was written by a later version: nothing is written to it."""


class CommitError(StateError):
    """What was handed over is not on disk for certain: it was not committed and may be tried again."""


class UnreadableError(StateError):
    """The disk refused to give what was asked for: nothing is known of it."""


class DamageError(StateError):
    """Bytes of the state are not those that were written; the writer repairs and records it when it next opens."""
