"""The entries of a batch as they are checked: signature first, then what is said, then the place in the tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from evidence import dsse, strict_base64, verify
from evidence.batch_form import HostPart, Manifest, Place
from evidence.entry import LOST, kind_of, statement_of
from evidence.errors import DamageError, EvidenceError, FormatError, LimitError, ProofError
from evidence.keys import PublicKey
from evidence.order import origin_of
from evidence.predicates import MAX_PAYLOAD, Event, Statement
from evidence.tree import HASH_BYTES, leaf_hash

OPENED, ROTATED = "log-opened", "key-rotated"


class BatchEntry(msgspec.Struct, frozen=True):
    """One entry; damage took its bytes on the host if there is no envelope, and its leaf keeps its place."""

    sequence: int
    leaf: bytes
    envelope: bytes | None = None
    """One line of JSON without its newline, as it stands."""
    payload: bytes | None = None
    statement: Statement | None = None

    @property
    def kind(self) -> str:
        """Return `snapshot`, the kind of an event, or `lost`."""
        return LOST if self.statement is None else kind_of(self.statement)


class EntryReader:
    """Checks envelopes in their order; `named` gathers the blobs that they name."""

    def __init__(self, key: PublicKey, place: Place, leaves: bytes, names: int) -> None:
        self._key = key
        self._place = place
        self._origin = origin_of(place.log_id)
        self._leaves = leaves
        self._names = names
        self._next = place.first
        self._count = 0
        self._hosts: set[str] = set()
        self.named: set[bytes] = set()
        self.finished = False

    def read(self, lines: Iterable[tuple[str, bytes]]) -> Iterator[BatchEntry]:
        """Yield every entry of the batch; `lines` are envelopes, and where each stands. Raises: EvidenceError."""
        for where, line in lines:
            entry = self._entry(line, where)
            yield from self._lost(entry.sequence)
            self._next = entry.sequence + 1
            self._count += 1
            yield entry
        yield from self._lost(self._place.size)

    def finish(self, manifest: Manifest) -> None:
        """Check what the manifest says of the entries. Raises: FormatError."""
        if self._count != manifest.counts.entries:
            raise FormatError("manifest.json", f"{manifest.counts.entries} entries", f"{self._count}")
        hosts = tuple(HostPart(logs=(self._place.log_id,), name=each) for each in sorted(self._hosts))
        if manifest.hosts != hosts:
            raise FormatError("manifest.json", "the hosts that the entries name", "others")
        self.finished = True

    def _lost(self, stop: int) -> Iterator[BatchEntry]:
        for sequence in range(self._next, stop):
            yield BatchEntry(sequence, self._leaf(sequence))

    def _leaf(self, sequence: int) -> bytes:
        at = (sequence - self._place.first) * HASH_BYTES
        return self._leaves[at : at + HASH_BYTES]

    def _entry(self, line: bytes, where: str) -> BatchEntry:
        envelope = dsse.decode(line, where)
        if envelope.encode() != line or envelope.payload_type != dsse.IN_TOTO:
            raise FormatError(where, "an envelope around an in-toto statement, in its one spelling", "another")
        message = dsse.pae(envelope.payload_type, envelope.payload)
        _check_signature(envelope.signatures[0], self._key, message, where)
        said = _statement(envelope.payload, where)
        also = [_new_key(said, where)] if isinstance(said, Event) and said.kind == ROTATED else []
        if len(envelope.signatures) != 1 + len(also):
            raise FormatError(where, f"signatures: {1 + len(also)}", f"{len(envelope.signatures)}")
        for key in also:
            _check_signature(envelope.signatures[1], key, message, where)
        self._check_place(said, where)
        sequence = said.predicate.log.sequence
        if leaf_hash(envelope.payload) != self._leaf(sequence):
            raise ProofError(where, f"the payload of leaf {sequence}", "another")
        self._remember(said, where)
        return BatchEntry(sequence, self._leaf(sequence), line, envelope.payload, said)

    def _check_place(self, said: Statement, where: str) -> None:
        log, kind = said.predicate.log, kind_of(said)
        if log.origin != self._origin:
            raise FormatError(where, f"an entry of {self._origin}", "one of another log")
        if not self._next <= log.sequence < self._place.size:
            raise FormatError(where, f"an entry from {self._next} to {self._place.size - 1}", f"{log.sequence}")
        if (kind == OPENED) != (log.sequence == 0):
            raise FormatError(where, f"{OPENED} first, and only there", kind)
        if kind == ROTATED and log.sequence != self._place.size - 1:
            raise FormatError(where, f"nothing behind {ROTATED}, which closes a log", "entries")

    def _remember(self, said: Statement, where: str) -> None:
        self._hosts.add(said.predicate.host.name)
        self.named |= {bytes.fromhex(each) for each in said.digests()}
        if len(self.named) > self._names:
            raise LimitError(where, f"at most {self._names} blobs", "more")


def _check_signature(signature: dsse.Signature, key: PublicKey, message: bytes, where: str) -> None:
    if signature.keyid != key.fingerprint:
        raise FormatError(where, f"key id {key.fingerprint}", "another")
    key.check(signature.sig, message, where)


def _statement(payload: bytes, where: str) -> Statement:
    """Return what was signed. The auditor's script is asked first: what is taken in, it must accept later."""
    if len(payload) > MAX_PAYLOAD:
        raise LimitError(where, f"a payload of at most {MAX_PAYLOAD} bytes", f"{len(payload)}")
    try:
        verify.document(payload, verify.statement_shape, verify.ENTRIES, f"{where} payload")
        return statement_of(payload)
    except (verify.TamperedError, verify.UnusableError, DamageError) as error:
        raise FormatError(where, "a statement of format 1", str(error)) from None


def _new_key(said: Event, where: str) -> PublicKey:
    """Return the key that a rotation names."""
    event = said.predicate.event
    try:
        key = PublicKey.from_spki(strict_base64.decode(event["key"], where))
    except EvidenceError as error:
        raise FormatError(where, error.expected, error.found) from None
    if key.fingerprint != event["keyid"]:
        raise FormatError(where, "the fingerprint of the new key", "another")
    return key
