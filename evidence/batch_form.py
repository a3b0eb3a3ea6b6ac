"""The form of a batch: its file name, its members in their order, and its manifest (docs/formats.md, section 6)."""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple

import msgspec

from evidence import restricted_json
from evidence.errors import FormatError
from evidence.order import is_log_id, origin_of
from evidence.pack_members import BUNDLE
from evidence.pack_spool import Member

FORMAT = 1
SUFFIX = ".tar.gz"
MAX_NUMBER = 10**12 - 1
"""The largest sequence that a file name holds."""
_NAME = re.compile(r"([0-9a-f]{16}-[1-9][0-9]{0,14})-([0-9]{12})-([0-9]{12})\.tar\.gz\Z")
_HEX = re.compile(r"[0-9a-f]{64}\Z")

Number = Annotated[int, msgspec.Meta(ge=0, le=MAX_NUMBER)]


class Place(NamedTuple):
    """Which entries a batch holds: of one log, from `first` up to, not including, `size`."""

    log_id: str
    first: int
    size: int

    @property
    def file_name(self) -> str:
        """Return the name of the batch's file."""
        return f"{self.log_id}-{self.first:012d}-{self.size:012d}{SUFFIX}"


def place_of(name: str) -> Place | None:
    """Return which entries a file holds by its name, None if that is not the name of a batch."""
    match = _NAME.match(name)
    if match is None or int(match[2]) >= int(match[3]):
        return None
    return Place(match[1], int(match[2]), int(match[3]))


def key_members(log_id: str) -> list[str]:
    """Return the members that hold the public key, in their order."""
    return [f"keys/{log_id}.{form}" for form in ("pem", "pub", "vkey", "json")]


def signed_members(log_id: str) -> list[str]:
    """Return the members of every batch between its manifest and its entries, in their order."""
    parts = ("checkpoint", "checkpoint.txt", "checkpoint.sig", "checkpoint.sshsig", "frontier", "leaves")
    return [*key_members(log_id), *(f"{log_id}/{part}" for part in parts)]


def bundle_name(log_id: str, number: int) -> str:
    """Return the name of a member of envelopes."""
    return f"{log_id}/entries/{number:03d}"


def blobs_name(number: int) -> str:
    """Return the name of a member of blobs."""
    return f"blobs/{number:02d}"


class Counts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in a batch."""

    blobs: Number
    entries: Number


class HostPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A host that entries of the batch name, and the log they stand in."""

    logs: tuple[str, ...]
    name: str


class LogPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one log of a batch; `count` entries from `first` on, which is where `size` ends."""

    count: Number
    first: Number
    id: str
    keyid: str
    origin: str
    size: Number


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first member; nothing in it is signed, and all of it is compared with what is."""

    counts: Counts
    format: int
    hosts: tuple[HostPart, ...]
    kind: Literal["batch"]
    logs: tuple[LogPart, ...]
    members: tuple[Member, ...]
    organisation: None
    period: None

    @property
    def log(self) -> LogPart:
        """Return the one log."""
        return self.logs[0]

    @property
    def place(self) -> Place:
        """Return which entries the batch holds."""
        return Place(self.log.id, self.log.first, self.log.size)

    def encode(self) -> bytes:
        """Return the member's bytes."""
        return restricted_json.encode(self) + b"\n"

    @classmethod
    def parse(cls, data: bytes, limit: int) -> Manifest:
        """Return a manifest that agrees with itself. Raises: FormatError, LimitError."""
        where = "manifest.json"
        value = restricted_json.decode(data, where=where, limit=limit)
        try:
            found = msgspec.convert(value, cls)
        except msgspec.ValidationError:
            raise FormatError(where, "the manifest of a batch of format 1", "another document") from None
        if found.encode() != data:
            raise FormatError(where, "sorted keys, no white space and a newline at the end", "another spelling")
        _check_manifest(found, where)
        return found


def _check_manifest(found: Manifest, where: str) -> None:
    if found.format != FORMAT:
        raise FormatError(where, f"format {FORMAT}", f"format {found.format}", "use a later version of evidenced")
    if len(found.logs) != 1:
        raise FormatError(where, "one log", f"{len(found.logs)}")
    log = found.log
    if not is_log_id(log.id) or log.origin != origin_of(log.id):
        raise FormatError(where, "a log id and its origin", "others")
    if log.count < 1 or log.first + log.count != log.size:
        raise FormatError(where, "entries that end where the checkpoint does", "others")
    names = [each.name for each in found.hosts]
    if names != sorted(set(names)) or any(each.logs != (log.id,) for each in found.hosts):
        raise FormatError(where, "hosts sorted, each once, with the one log", "otherwise")
    _check_members(found, where)


def _check_members(found: Manifest, where: str) -> None:
    """Check that the members are those of a batch of so many entries, each in its place."""
    bundles = -(-found.counts.entries // BUNDLE)
    expected = [*signed_members(found.log.id), *(bundle_name(found.log.id, at) for at in range(bundles))]
    there = [each.name for each in found.members]
    expected += [blobs_name(at) for at in range(len(there) - len(expected))]
    if there != expected:
        raise FormatError(where, "the members of a batch, in their order", "others")
    if not all(_HEX.match(each.sha256) and each.size >= 0 for each in found.members):
        raise FormatError(where, "a SHA-256 and a size of each member", "another value")
