"""Receipts: what hubs and witnesses cosigned, kept in `receipts/LOGID/` beside the log (docs/formats.md, section 7).

`NNNNNNNNNNNN` is our checkpoint of that size with the lines of those who saw it; `.vkeys` beside it holds the keys
that these lines were verified with, so that they are verified whenever they are read, and `.sshsig` is over the same
text. A note of a larger size than the log itself, or `fork.NNNNNNNNNNNN`, a note of another tree, is proof by our own
signature that the state was put back to an older one.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator

import msgspec

from evidence import layout, note, sshsig
from evidence.errors import DamageError, FormatError, LimitError, SignatureError
from evidence.keys import NOTE_COSIGNATURE, PublicKey
from evidence.note import Checkpoint, Note, Verified, Verifier
from evidence.predicates import Receipt
from evidence.quarantine import Finding
from evidence.state import Folder

LIMIT = 64 * 1024
"""As many bytes as an answer may have."""
VKEYS, SSHSIG = ".vkeys", ".sshsig"
FORK = "fork."
REJECTED = "rejected"
_YEAR_10000 = 253402300800


class Kept(msgspec.Struct, frozen=True):
    """A note in the folder of receipts, verified again."""

    name: str
    note: Note
    checkpoint: Checkpoint
    cosigned: tuple[Verified, ...]
    """Those who saw it; empty for a note that is kept as a proof only."""

    @property
    def is_fork(self) -> bool:
        """Return whether it was of another tree than the log's when it came."""
        return self.name.startswith(FORK)

    def receipts(self) -> list[Receipt]:
        """Return what statements say of it, by each cosigner."""
        return [said(each, self.checkpoint.size) for each in self.cosigned]


def name_of(size: int) -> str:
    """Return the name of the note of a checkpoint."""
    return f"{size:012d}"


def said(cosigner: Verified, size: int) -> Receipt:
    """Return a cosignature as a statement names it."""
    when = dt.datetime.fromtimestamp(cosigner.time or 0, tz=dt.timezone.utc)
    return Receipt(name=cosigner.verifier.name, size=size, time=when.strftime("%Y-%m-%dT%H:%M:%SZ"))


def cosigners(found: Note, verifiers: list[Verifier], where: str) -> tuple[Verified, ...]:
    """Return who of these cosigned a note, and when. Raises: FormatError, SignatureError."""
    witnesses = [each for each in verifiers if each.kind == NOTE_COSIGNATURE]
    verified = note.verify(found, witnesses, where)
    if not all(0 < (each.time or 0) < _YEAR_10000 for each in verified):
        raise FormatError(where, "a time from 1970 to 9999", "another")
    return verified


@contextlib.contextmanager
def opened(root: Folder, log_id: str, *, create: bool = False) -> Iterator[Folder | None]:
    """Open the folder of a log's receipts; None if there is none. Raises: OSError, UnsafeStateError."""
    with contextlib.ExitStack() as stack:
        try:
            receipts = root.folder(layout.RECEIPTS, create=create)
            stack.callback(receipts.close)
            folder = receipts.folder(log_id, create=create)
            stack.callback(folder.close)
        except FileNotFoundError:
            yield None
            return
        yield folder


def load(folder: Folder, origin: str, key: PublicKey) -> tuple[list[Kept], list[str]]:
    """Return the notes that are kept, smallest first, and the names of files that prove nothing."""
    kept, damaged = [], []
    names = folder.names()
    for name in names:
        if name == REJECTED or name.startswith(".") or name.endswith((VKEYS, SSHSIG)):
            continue
        try:
            kept.append(_load(folder, name, origin, key, with_keys=name + VKEYS in names))
        except (DamageError, FormatError, LimitError, SignatureError):
            damaged += [each for each in (name, name + VKEYS, name + SSHSIG) if each in names]
    return sorted(kept, key=lambda each: each.checkpoint.size), damaged


def _load(folder: Folder, name: str, origin: str, key: PublicKey, *, with_keys: bool) -> Kept:
    where = folder.where(name)
    found = note.parse(folder.read(name, LIMIT), where)
    note.verify(found, [Verifier(origin, key)], where)
    checkpoint = Checkpoint.parse(found.text, where)
    if checkpoint.origin != origin:
        raise DamageError(where, f"a checkpoint of {origin}", "one of another log")
    keys = verifiers_in(folder, name) if with_keys else []
    return Kept(name, found, checkpoint, cosigners(found, keys, where) if keys else ())


def verifiers_in(folder: Folder, name: str) -> list[Verifier]:
    """Return the keys that are kept beside a note. Raises: FileNotFoundError; DamageError, FormatError."""
    where = folder.where(name + VKEYS)
    try:
        text = folder.read(name + VKEYS, LIMIT).decode("ascii")
    except UnicodeDecodeError:
        raise DamageError(where, "verifier keys, one a line", "other bytes") from None
    return [Verifier.parse(each, where) for each in text.removesuffix("\n").split("\n")]


class Cosigned(msgspec.Struct, frozen=True):
    """The newest checkpoint of a log that someone cosigned."""

    note: Note
    checkpoint: Checkpoint
    receipts: tuple[Receipt, ...]
    armoured: str | None
    """The SSHSIG over the same text, if there is one that holds."""


def cosigned(folder: Folder, origin: str, key: PublicKey) -> Cosigned | None:
    """Return the newest checkpoint that someone cosigned, None if there is none."""
    kept, _ = load(folder, origin, key)
    found = newest(kept)
    if found is None:
        return None
    return Cosigned(found.note, found.checkpoint, tuple(found.receipts()), _armoured(folder, found, key))


def _armoured(folder: Folder, found: Kept, key: PublicKey) -> str | None:
    try:
        armoured = folder.read(found.name + SSHSIG, LIMIT).decode("ascii")
        sshsig.verify(armoured, found.note.text.encode(), key)
    except (FileNotFoundError, UnicodeDecodeError, DamageError, FormatError, SignatureError):
        return None
    return armoured


def newest(kept: list[Kept]) -> Kept | None:
    """Return the largest checkpoint that someone cosigned."""
    return max((each for each in kept if each.cosigned), key=lambda each: each.checkpoint.size, default=None)


def latest(kept: list[Kept]) -> Receipt | None:
    """Return what the next statement names: the newest of those for the largest checkpoint."""
    found = newest(kept)
    return None if found is None else max(found.receipts(), key=lambda each: (each.time, each.name))


def set_aside(layout_: layout.Layout, folder: Folder, log_id: str, names: list[str]) -> None:
    """Move damaged receipts to quarantine."""
    for name in names:
        finding = Finding(part="receipt", where=f"receipts/{log_id}/{name}", found="no receipt of ours", count=1)
        layout_.quarantine.take(folder, name, finding)
