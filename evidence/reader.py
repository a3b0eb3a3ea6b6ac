"""Reading a state without its lock: a view that was signed, from the files alone. Nothing is written.

What stands in front of the checkpoint does not change while a writer goes on, except that damage is mended, and
that a pruned blob is gone. Each entry is checked by the hash of its frame, and by its leaf where one is proved.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from types import TracebackType
from typing import Literal

import msgspec

from evidence import identity as identities
from evidence import keyring, keys, layout, receipts, scan, segment, signed_size, tree
from evidence.blobs import Blobs
from evidence.entry import leaf_of, payload_of, statement_of
from evidence.errors import DamageError, StateError, UnreadableError
from evidence.keys import KeyCard, PublicKey
from evidence.note import Checkpoint
from evidence.order import is_log_id, log_ids, origin_of
from evidence.predicates import Statement
from evidence.receipts import Cosigned
from evidence.state import Folder, open_state
from evidence.writer import SEGMENTS


class LogInfo(msgspec.Struct, frozen=True):
    """One log: its folder's name, its origin, the signed size, and the fingerprint of its key."""

    id: str
    origin: str
    size: int
    keyid: str


class StoredEntry(msgspec.Struct, frozen=True):
    """One entry as it stands; envelope and payload are None for one that damage has taken."""

    sequence: int
    leaf: bytes
    envelope: bytes | None
    payload: bytes | None

    @property
    def statement(self) -> Statement | None:
        """Return what the entry says; it was checked by the hash of its frame. Raises: DamageError."""
        return None if self.payload is None else statement_of(self.payload)

    @property
    def wall(self) -> str | None:
        """Return the wall clock in the entry, None for a lost one."""
        statement = self.statement
        return None if statement is None else statement.predicate.clock.wall


class Inclusion(msgspec.Struct, frozen=True):
    """The proof that an entry stands in a log: RFC 6962, 2.1.1."""

    leaf: bytes
    sequence: int
    checkpoint: Checkpoint
    hashes: tuple[bytes, ...]


class StoreReader:
    """The reading side of a state; use it in a `with` block."""

    def __init__(self, path: str) -> None:
        """Open the state of this user. Raises: StateError if there is none, UnsafeStateError."""
        try:
            self._root = open_state(path, create=False)
        except FileNotFoundError:
            step = "sign something first, or name another state folder"
            raise StateError(path, "a state folder", "none", step) from None
        except OSError as error:
            raise StateError(path, "a folder to read", str(error.strerror).lower()) from None

    def __enter__(self) -> StoreReader:  # noqa: PYI034  typing.Self is 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the state folder back."""
        self._root.close()

    def logs(self) -> list[LogInfo]:
        """Return every log, oldest first, also one whose entries cannot be read.

        Raises: DamageError naming a log whose checkpoint or key is lost: none is left out.
        """
        with self._folder(layout.KEYS) as keys_folder:
            current = None if keys_folder is None else identities.current_log(keys_folder)
        with self._folder(layout.LOGS) as logs:
            ids = [] if logs is None else log_ids(logs, current)
        return [self._info(each) for each in ids]

    def _info(self, log_id: str) -> LogInfo:
        checkpoint = self.signed_size(log_id)
        return LogInfo(log_id, checkpoint.origin, checkpoint.size, self.public_key(log_id).fingerprint)

    def public_key(self, log_id: str) -> PublicKey:
        """Return the key that signs a log. Raises: DamageError."""
        with self._log(log_id) as log, self._folder(layout.KEYS) as folder:
            if folder is None:
                raise DamageError(self._root.path, "the folder of keys", "none", _MEND)
            try:
                return keyring.public(folder, log, log_id.partition("-")[0])
            except DamageError as error:
                raise DamageError(f"log {log_id}", error.expected, error.found, _MEND) from None

    def protection(self, log_id: str) -> Literal["file"]:
        """Return how the private key of a log was kept: so far, always in a file."""
        self._check_id(log_id)
        return "file"

    def signed_size(self, log_id: str) -> Checkpoint:
        """Return the checkpoint of a log, verified. Raises: DamageError."""
        data, key = self.checkpoint(log_id), self.public_key(log_id)
        try:
            return signed_size.parse(data, f"{log_id}/{signed_size.NAME}", origin_of(log_id), key)
        except DamageError as error:
            raise DamageError(error.where, error.expected, error.found, _MEND) from None

    def checkpoint(self, log_id: str) -> bytes:
        """Return the signed note of a log as it stands. Raises: DamageError."""
        with self._log(log_id) as log:
            try:
                return signed_size.read_note(log)
            except FileNotFoundError:
                raise DamageError(log.where(signed_size.NAME), "a checkpoint", "none", _MEND) from None

    def sshsig(self, log_id: str) -> str:
        """Return the SSHSIG over the latest checkpoint's text as it stands. Raises: DamageError."""
        with self._log(log_id) as log:
            try:
                return signed_size.read_sshsig(log)
            except FileNotFoundError:
                raise DamageError(log.where(signed_size.SSHSIG), "a signature", "none", _MEND) from None

    def receipt(self, log_id: str) -> Cosigned | None:
        """Return the newest checkpoint of a log that a hub or witness cosigned, None if there is none.

        Raises: DamageError if the log's key is lost; receipts that do not verify are passed over.
        """
        key = self.public_key(log_id)
        with self._readable(layout.RECEIPTS), receipts.opened(self._root, log_id) as folder:
            return None if folder is None else receipts.cosigned(folder, origin_of(log_id), key)

    def entries(self, log_id: str, start: int = 0, stop: int | None = None) -> Iterator[StoredEntry]:
        """Yield the entries of a range in order, none left out; a lost one has no envelope.

        `stop` is at most the signed size, which is also the default.
        Raises: DamageError at the first entry that is neither there nor marked as lost.
        """
        size = self.signed_size(log_id).size
        stop = size if stop is None else min(stop, size)
        with self._segments(log_id) as segments:
            firsts = scan.firsts(segments)
            for first, behind in itertools.pairwise([*firsts, size]):
                if first <= start < min(behind, stop):
                    found = scan.read(segments, origin_of(log_id), first)
                    for at in range(start, min(behind, stop)):
                        yield _entry(found, at, segments)
                    start = min(behind, stop)
        if start < stop:
            raise DamageError(f"log {log_id}", f"entry {start}", "no segment that holds it", _MEND)

    def entry(self, log_id: str, sequence: int) -> StoredEntry:
        """Return one entry. Raises: DamageError; StateError past the end."""
        for found in self.entries(log_id, sequence, sequence + 1):
            return found
        raise StateError(log_id, f"an entry {sequence}", f"{self.signed_size(log_id).size} entries")

    def leaves(self, log_id: str) -> bytes:
        """Return all leaf hashes up to the signed size, which lead to the signed root.

        Raises: DamageError if they do not.
        """
        signed = self.signed_size(log_id)
        leaves = [each.leaf for each in self.entries(log_id, 0, signed.size)]
        if tree.root(leaves) != signed.root:
            raise DamageError(f"log {log_id}", "entries that give the signed root", "others", _MEND)
        return b"".join(leaves)

    def inclusion(self, log_id: str, sequence: int) -> Inclusion:
        """Return the proof that an entry stands in the signed tree. Raises: DamageError, ProofError."""
        signed = self.signed_size(log_id)
        leaves = tree.split(self.leaves(log_id))[: signed.size]
        hashes = tuple(tree.inclusion_proof(leaves, sequence))
        return Inclusion(leaves[sequence], sequence, signed, hashes)

    def blob(self, digest: str) -> bytes | None:
        """Return a blob's bytes; None if it is not there: pruned, or lost. Raises: DamageError."""
        with self._folder(layout.BLOBS) as folder:
            return None if folder is None else _blob(folder, digest, stored=False)

    def stored_blob(self, digest: str) -> bytes | None:
        """Return a blob's zlib data as it stands, unchecked; None if it is not there. Raises: DamageError."""
        with self._folder(layout.BLOBS) as folder:
            return None if folder is None else _blob(folder, digest, stored=True)

    def key_card(self) -> KeyCard | None:
        """Return what identifies the key that signs now, None before the first entry. Raises: DamageError."""
        with self._folder(layout.KEYS) as folder:
            if folder is None or folder.facts(identities.NAME) is None:
                return None
            identity = identities.load(folder)
            with self._log(identity.log_id) as log:
                key = keyring.public(folder, log, identity.key)
        return keys.card(key, identity.origin, identity.number)

    def signing_key(self) -> PublicKey | None:
        """Return the public half of the private key, which its owner alone can read; None before the first entry.

        Raises: DamageError when it is no key, gone, or another than the log's; UnsafeStateError.
        """
        with self._folder(layout.KEYS) as folder:
            if folder is None:
                return None
            key, log_id = keyring.private(folder, keyring.AGENT), identities.current_log(folder)
            where = folder.where(keyring.AGENT)
        if key is not None and (log_id is None or log_id.startswith(f"{key.public.id16}-")):
            return key.public
        if key is None and log_id is None:
            return None
        raise DamageError(where, f"the key that signs log {log_id}", "no file" if key is None else "another key")

    def secret(self) -> bytes | None:
        """Return the secret for keyed hashes, None if there is none. Raises: DamageError, UnsafeStateError."""
        with self._folder(layout.KEYS) as folder:
            if folder is None:
                return None
            try:
                return identities.secret(folder)
            except FileNotFoundError:
                return None

    def _check_id(self, log_id: str) -> None:
        with self._log(log_id):
            pass

    @contextlib.contextmanager
    def _folder(self, name: str) -> Iterator[Folder | None]:
        with self._readable(name), contextlib.ExitStack() as stack:
            try:
                folder = self._root.folder(name)
            except FileNotFoundError:
                yield None
                return
            stack.callback(folder.close)
            yield folder

    @contextlib.contextmanager
    def _log(self, log_id: str) -> Iterator[Folder]:
        with self._folder(layout.LOGS) as logs:
            if logs is None or not is_log_id(log_id) or logs.facts(log_id) is None:
                raise StateError(self._root.path, f"a log {log_id}", "none", "see the list of logs")
            log = logs.folder(log_id)
        with self._readable(log_id), contextlib.closing(log):
            yield log

    @contextlib.contextmanager
    def _segments(self, log_id: str) -> Iterator[Folder]:
        with self._log(log_id) as log:
            try:
                segments = log.folder(SEGMENTS)
            except FileNotFoundError:
                raise DamageError(log.where(SEGMENTS), "the folder of segments", "none", _MEND) from None
        with self._readable(log_id), contextlib.closing(segments):
            yield segments

    @contextlib.contextmanager
    def _readable(self, name: str) -> Iterator[None]:
        """Make a refusal of the disk one of our errors."""
        try:
            yield
        except OSError as error:
            where, found = self._root.where(name), (error.strerror or "an error").lower()
            raise UnreadableError(where, "files that can be read", found, "see to the disk") from error


_MEND = "evidenced inventory mends what can be mended, and records it"


def _entry(found: scan.Segment, at: int, segments: Folder) -> StoredEntry:
    frame = found.frames.get(at)
    if frame is None:
        raise DamageError(segments.where(segment.name_of(found.first)), f"entry {at}", "damage in its place", _MEND)
    if frame.lost_leaf is not None:
        return StoredEntry(at, frame.lost_leaf, None, None)
    return StoredEntry(at, leaf_of(frame), frame.body, payload_of(frame.body))


def _blob(folder: Folder, digest: str, *, stored: bool) -> bytes | None:
    blobs = Blobs(folder)
    try:
        return blobs.stored(digest) if stored else blobs.get(digest)
    finally:
        blobs.close()
