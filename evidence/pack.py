"""Write a pack: the entries and blobs of a period in one file that an auditor checks offline.

docs/formats.md, section 6. Nothing of the time or place of export is in it: equal stores and options give equal
tar streams. Memory is bounded: entries and blobs pass through one by one.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from importlib import resources
from typing import Any, BinaryIO

import msgspec

from evidence import restricted_json, verify
from evidence.errors import PackError
from evidence.pack_blobs import BlobReport, write_blobs
from evidence.pack_members import BUNDLE, write_checkpoint, write_keys
from evidence.pack_range import Part, choose, found_in
from evidence.pack_source import PackSource, SignedLog, cosigned_log, signed_logs
from evidence.pack_spool import Spool
from evidence.pack_tar import MAX_MEMBERS, TarStream
from evidence.pack_target import REPLACE, Target
from evidence.pack_text import Summary, readme
from evidence.predicates import MAX_TEXT

FORMAT = 1


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the user chose; together with the store it decides every byte of the tar."""

    since: datetime
    until: datetime
    """The first instant that is not part of the period."""
    organisation: str | None = None
    with_script: bool = True
    """Whether verify.py goes with it."""


class PackSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What was written; `damaged` and `lost` are for the user to see, whose store needs care."""

    tar_sha256: str
    size: int
    """Bytes of the file."""
    entries: int
    """Borders and extras included."""
    blobs: int
    logs: tuple[str, ...]
    """Their ids, as they followed each other."""
    fingerprints: tuple[str, ...]
    since: str
    until: str
    missing: tuple[str, ...]
    """Blobs that are not in the store, such as pruned ones."""
    damaged: tuple[str, ...]
    """Blobs whose bytes are not what their name says; they were left out."""
    lost: int
    """Entries that damage has taken."""


class _Contents(msgspec.Struct):
    """What is gathered while entries are written."""

    digests: set[str] = set()
    hosts: dict[str, list[str]] = {}
    """The logs that name each host, in their order."""
    summary: Summary = msgspec.field(default_factory=Summary)
    entries: int = 0
    lost: int = 0


def export(
    source: PackSource,
    out: str | BinaryIO,
    *,
    since: datetime,
    until: datetime,
    organisation: str | None = None,
    overwrite: bool = False,
    with_script: bool = True,
) -> PackSummary:
    """Write a pack of `since` ≤ t < `until` and return what is in it.

    `out` is a path, where the file appears whole or not at all (gzip, unless it ends in `.tar`), or a binary
    stream, which gets gzip and is neither synced nor closed.
    Raises: EmptyPeriodError if the period holds no entry; PackError if something stands at the path or the disk
    refuses; DamageError or SignatureError if the store is not what it signed.
    """
    if organisation is not None and len(organisation) > MAX_TEXT:
        raise PackError("organisation", f"at most {MAX_TEXT} characters", "more")
    options = Options(since=since, until=until, organisation=organisation, with_script=with_script)
    if not isinstance(out, str):
        return _write(source, options, out.write, folder=None, compressed=True)
    try:
        return _write_file(source, options, out, overwrite=overwrite)
    except OSError as error:
        raise PackError(out, "a file written whole", (error.strerror or "an error").lower()) from error


def _write_file(source: PackSource, options: Options, path: str, *, overwrite: bool) -> PackSummary:
    target = Target(path, overwrite=overwrite, step=REPLACE)
    try:
        folder = os.path.dirname(path) or "."
        summary = _write(source, options, target.write, folder=folder, compressed=not path.endswith(".tar"))
        target.commit()
    finally:
        target.close()
    return summary


def _write(
    source: PackSource,
    options: Options,
    write: Callable[[bytes], object],
    *,
    folder: str | None,
    compressed: bool,
) -> PackSummary:
    if options.since >= options.until:
        raise PackError("period", "an end behind its begin", "none")
    logs = signed_logs(source)
    parts = [_cosigned(source, each) for each in choose(source, logs, options.since, options.until)]
    written = 0

    def count(data: bytes) -> None:
        nonlocal written
        write(data)
        written += len(data)

    with contextlib.closing(Spool(folder)) as spool:
        contents, blobs = _fill(spool, source, logs, parts, options)
        manifest = _manifest(spool, parts, contents, blobs, options)
        tar_sha256 = _tar(spool, manifest, TarStream(count, compressed=compressed))
    return PackSummary(
        tar_sha256=tar_sha256,
        size=written,
        entries=contents.entries,
        blobs=blobs.written,
        logs=tuple(part.log.id for part in parts),
        fingerprints=tuple(dict.fromkeys(part.log.key.fingerprint for part in parts)),
        since=time_text(options.since),
        until=time_text(options.until),
        missing=tuple(blobs.missing),
        damaged=tuple(blobs.damaged),
        lost=contents.lost,
    )


def _cosigned(source: PackSource, part: Part) -> Part:
    """Return a part that ends at the log's newest cosigned checkpoint, if that covers all its entries."""
    return msgspec.structs.replace(part, log=cosigned_log(source, part.log, part.sequences[-1] + 1))


def script() -> bytes:
    """Return the auditor's script, as it stands in packs; the program may be one archive."""
    return resources.files("evidence").joinpath("verify.py").read_bytes()


def _fill(
    spool: Spool, source: PackSource, logs: Sequence[SignedLog], parts: Sequence[Part], options: Options
) -> tuple[_Contents, BlobReport]:
    """Write every member but the manifest, in the order of the format."""
    contents = _Contents()
    for part in parts:
        write_keys(spool, part.log)
    for part in parts:
        write_checkpoint(spool, part.log)
        spool.add(f"{part.log.id}/leaves", part.log.leaves)
        _entries(spool, source, logs, part, contents)
    _place_lost(contents, parts)
    blobs = write_blobs(spool, source, contents.digests)
    report = contents.summary.text(time_text(options.since), time_text(options.until), parts, blobs)
    spool.add("reports/summary.txt", report.encode())
    if options.with_script:
        spool.add("verify.py", script())
    spool.add("README.txt", readme(parts).encode())
    return contents, blobs


def _entries(spool: Spool, source: PackSource, logs: Sequence[SignedLog], part: Part, contents: _Contents) -> None:
    """Write the bundles of a log, and note what its entries name."""
    count = 0
    for start, stop in _runs(part.sequences):
        expected = stop - start
        for found in found_in(source, logs, part.number, start, stop):
            if count % BUNDLE == 0:
                if count:
                    spool.end()
                spool.begin(f"{part.log.id}/entries/{count // BUNDLE:03d}")
            spool.write(found.envelope + b"\n")
            contents.digests |= found.statement.digests()
            logs_of_host = contents.hosts.setdefault(found.statement.predicate.host.name, [])
            if part.log.id not in logs_of_host:
                logs_of_host.append(part.log.id)
            if part.first <= found.place.sequence < part.first + part.count:
                contents.summary.add(found)
            count, expected = count + 1, expected - 1
        contents.lost += expected
    if count:
        spool.end()
    contents.entries += count


def _place_lost(contents: _Contents, parts: Sequence[Part]) -> None:
    """Put a log of which damage left no entry beside the one that follows it, or the one before it."""
    ids = [part.log.id for part in parts]
    host_of = {log: name for name, logs in contents.hosts.items() for log in logs}
    for at, log in enumerate(ids):
        if log not in host_of:
            around = (host_of.get(each) for each in (*ids[at + 1 :], *reversed(ids[:at])))
            contents.hosts[next(each for each in around if each is not None)].append(log)
    for logs in contents.hosts.values():
        logs.sort(key=ids.index)


def _runs(sequences: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of the unbroken runs in sorted numbers."""
    start = previous = sequences[0]
    for each in sequences[1:]:
        if each != previous + 1:
            yield start, previous + 1
            start = each
        previous = each
    yield start, previous + 1


def _manifest(spool: Spool, parts: Sequence[Part], contents: _Contents, blobs: BlobReport, options: Options) -> bytes:
    if len(spool.members) >= MAX_MEMBERS:
        raise PackError("pack", f"at most {MAX_MEMBERS} members", "more", "export a shorter period")
    value: dict[str, Any] = {
        "counts": {"blobs": blobs.written, "entries": contents.entries},
        "format": FORMAT,
        "hosts": [{"logs": logs, "name": name} for name, logs in sorted(contents.hosts.items())],
        "kind": "pack",
        "logs": [
            {
                "count": part.count,
                "first": part.first,
                "id": part.log.id,
                "keyid": part.log.key.fingerprint,
                "origin": part.log.origin,
                "size": part.log.size,
            }
            for part in parts
        ],
        "members": spool.members,
        "organisation": options.organisation,
        "period": {"since": time_text(options.since), "until": time_text(options.until)},
    }
    return checked(restricted_json.encode(value) + b"\n", verify.MANIFEST_SHAPE, "export a shorter period")


def checked(manifest: bytes, shape: Any, step: str) -> bytes:
    """Return a manifest that the auditor's script was asked about: what is written, it must take. Raises: PackError."""
    member = verify.Member("manifest.json", len(manifest), io.BytesIO(manifest).read)
    try:
        verify.manifest_of(verify.Report(""), member.whole(verify.MANIFEST_MAX), shape)
    except (verify.TamperedError, verify.UnusableError) as error:
        raise PackError("manifest.json", "one that verify.py takes", f"another ({error})", step) from None
    return manifest


def _tar(spool: Spool, manifest: bytes, tar: TarStream) -> str:
    tar.add("manifest.json", len(manifest), [manifest])
    for member, chunks in spool.read():
        tar.add(member.name, member.size, chunks)
    return tar.close()


def time_text(when: datetime) -> str:
    """Return an instant as the manifest writes it; thousandths only where there are any."""
    plain = when.astimezone(timezone.utc).replace(tzinfo=None)
    return plain.isoformat(timespec="milliseconds" if plain.microsecond else "seconds") + "Z"
