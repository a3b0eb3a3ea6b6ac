"""Write a batch: entries of one log and the blobs they bring, in one file that is shipped (docs/formats.md, section 6).

A batch is a pack's container with one log and no period. Instead of all leaves it has the frontier, which stands for
those that were shipped before. Equal stores give equal tar streams. Memory is bounded: entries and blobs pass through
one by one.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator

import msgspec

from evidence import note, sshsig
from evidence.batch_form import FORMAT, Counts, HostPart, LogPart, Manifest, Place, bundle_name, place_of
from evidence.entry import statement_of
from evidence.errors import DamageError, PackError
from evidence.note import Checkpoint
from evidence.pack_blobs import BlobReport, write_blobs
from evidence.pack_members import BUNDLE, write_checkpoint, write_keys
from evidence.pack_source import PackSource, SignedLog
from evidence.pack_spool import Spool
from evidence.pack_tar import TarStream
from evidence.pack_target import PRIVATE, Target
from evidence.tree import HASH_BYTES, Frontier, leaf_hash

_PART = re.compile(r"\.(.+)\.[0-9a-f]{8}\.part\Z")


class BatchInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that was written; `missing`, `damaged` and `lost` count what it could not hold."""

    name: str
    """The file's name in its folder."""
    sha256: str
    """Of the file, in hex: the batch's digest."""
    tar_sha256: str
    """Of the tar stream, which is the same for equal stores."""
    log_id: str
    first: int
    size: int
    """The checkpoint's size, and where the next batch begins."""
    entries: int
    blobs: int
    bytes: int
    """Of the file."""
    missing: tuple[str, ...] = ()
    """Blobs that are not in the store, such as pruned ones."""
    damaged: tuple[str, ...] = ()
    """Blobs whose bytes are not what their name says."""
    lost: int = 0
    """Entries that damage has taken; their leaves are there."""


class Contents(msgspec.Struct, frozen=True):
    """What a batch is made of, beside the entries and blobs themselves."""

    place: Place
    log: SignedLog
    """Signed at the batch's size; its leaves are those from `first` on."""
    frontier: Frontier
    """The tree in front of `first`."""
    blobs: frozenset[str]


def signed_part(
    source: PackSource, place: Place, leaves: bytes, checkpoint: Checkpoint, signed: note.Note, armoured: str
) -> SignedLog:
    """Return a log as a batch shows it. Raises: EvidenceError if note or SSHSIG are not of this checkpoint."""
    key = source.public_key(place.log_id)
    note.verify(signed, [note.Verifier(checkpoint.origin, key)], f"checkpoint of {place.log_id}")
    sshsig.verify(armoured, signed.text.encode(), key)
    if signed.text != checkpoint.text():
        raise DamageError(f"checkpoint of {place.log_id}", f"size {place.size} and the root of its leaves", "others")
    return SignedLog(
        id=place.log_id,
        origin=checkpoint.origin,
        key=key,
        protection=source.protection(place.log_id),
        note=signed,
        checkpoint=checkpoint,
        signature=signed.lines[0].signature,
        armoured=armoured,
        leaves=leaves,
    )


def write(source: PackSource, contents: Contents, folder: str, *, overwrite: bool, mode: int = PRIVATE) -> BatchInfo:
    """Write the file of a batch, whole or not at all, and return what is in it.

    Raises: PackError if a file of its name stands there and is not to be replaced, or the disk refuses; DamageError.
    """
    name = contents.place.file_name
    path = os.path.join(folder, name)
    try:
        _sweep(folder)
        target = Target(path, overwrite=overwrite, mode=mode)
        try:
            info = _fill(source, contents, folder, target)
            target.commit()
        finally:
            target.close()
    except OSError as error:
        raise PackError(path, "a batch written whole", (error.strerror or "an error").lower()) from error
    return info


def _sweep(folder: str) -> None:
    """Remove what killed processes left half-written where files cannot be without a name."""
    for each in os.listdir(folder):
        match = _PART.match(each)
        if match is not None and place_of(match[1]) is not None:
            path = os.path.join(folder, each)
            if stat.S_ISREG(os.lstat(path).st_mode):
                os.unlink(path)


def _fill(source: PackSource, contents: Contents, folder: str, target: Target) -> BatchInfo:
    place = contents.place
    with contextlib.closing(Spool(folder)) as spool:
        write_keys(spool, contents.log)
        write_checkpoint(spool, contents.log)
        spool.add(f"{place.log_id}/frontier", b"".join(contents.frontier.full))
        spool.add(f"{place.log_id}/leaves", contents.log.leaves)
        entries = _Entries(spool)
        entries.write(source, contents)
        blobs = write_blobs(spool, source, contents.blobs)
        tar = TarStream(target.write, compressed=True)
        manifest = _manifest(spool, contents, entries, blobs).encode()
        tar.add("manifest.json", len(manifest), [manifest])
        for member, chunks in spool.read():
            tar.add(member.name, member.size, chunks)
        tar_sha256 = tar.close()
    return BatchInfo(
        name=place.file_name,
        sha256=target.sha256,
        tar_sha256=tar_sha256,
        log_id=place.log_id,
        first=place.first,
        size=place.size,
        entries=entries.count,
        blobs=blobs.written,
        bytes=target.size,
        missing=tuple(blobs.missing),
        damaged=tuple(blobs.damaged),
        lost=place.size - place.first - entries.count,
    )


class _Entries:
    """Entries go in, bundles come out; what a lost one said is not there."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.count = 0
        self.hosts: set[str] = set()

    def write(self, source: PackSource, contents: Contents) -> None:
        for envelope in self._envelopes(source, contents):
            if self.count % BUNDLE == 0:
                self._end()
                self._spool.begin(bundle_name(contents.place.log_id, self.count // BUNDLE))
            self._spool.write(envelope + b"\n")
            self.count += 1
        self._end()

    def _end(self) -> None:
        if self.count:
            self._spool.end()

    def _envelopes(self, source: PackSource, contents: Contents) -> Iterator[bytes]:
        place, leaves = contents.place, contents.log.leaves
        for each in source.entries(place.log_id, place.first, place.size):
            if each.envelope is None or each.payload is None:
                continue
            at = (each.sequence - place.first) * HASH_BYTES
            if leaf_hash(each.payload) != leaves[at : at + HASH_BYTES]:
                raise DamageError(f"entry {each.sequence} of {place.log_id}", "the payload of its leaf", "another")
            self.hosts.add(statement_of(each.payload).predicate.host.name)
            yield each.envelope


def _manifest(spool: Spool, contents: Contents, entries: _Entries, blobs: BlobReport) -> Manifest:
    place, log = contents.place, contents.log
    part = LogPart(
        count=place.size - place.first,
        first=place.first,
        id=log.id,
        keyid=log.key.fingerprint,
        origin=log.origin,
        size=place.size,
    )
    return Manifest(
        counts=Counts(blobs=blobs.written, entries=entries.count),
        format=FORMAT,
        hosts=tuple(HostPart(logs=(log.id,), name=name) for name in sorted(entries.hosts)),
        kind="batch",
        logs=(part,),
        members=tuple(spool.members),
        organisation=None,
        period=None,
    )
