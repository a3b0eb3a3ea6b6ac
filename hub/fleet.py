"""A fleet pack: one host pack for each host with evidence in a period, an index of them, and who is missing.

docs/formats.md, section 6. Host packs are what `evidenced export` would write of the same logs. They are made one by
one into an unnamed file beside the result, since the index goes first.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import IO, Any, BinaryIO, cast

from evidence import restricted_json, verify
from evidence.errors import EvidenceError, PackError
from evidence.pack import FORMAT, PackSummary, checked, export, script, time_text
from evidence.pack_range import EmptyPeriodError, moment
from evidence.pack_spool import Member
from evidence.pack_tar import MAX_MEMBERS, MAX_TOTAL, TarStream
from evidence.pack_target import REPLACE, Target
from hub.blob_files import BlobFiles
from hub.database import Database
from hub.holes import Hole, holes
from hub.presence import HostState, hosts
from hub.source import HostSource

MAX_FLEET = 1 << 40
"""Bytes of a fleet pack; a host pack in it has at most 4 GiB, as by itself."""
STOPPED_S = 24 * 3600
_CHUNK = 1 << 20
_ODD = re.compile(r"[^a-z0-9.-]+")
_NAME = 60

README = """\
This is a fleet pack: evidence of many hosts for one period. Each hosts/*.tar.gz is a pack by itself, signed by its
host.

  python3 verify.py THIS-FILE

checks all of them in one run, compares them with the index, and names the hosts that were expected and are missing.
Get verify.py from somewhere else than from this file, or compare the two. To look into one host, take its pack out:

  tar -xf THIS-FILE hosts/NAME.tar.gz && python3 verify.py hosts/NAME.tar.gz --key FINGERPRINT

What is signed is in the host packs. The index, and who was expected, are the word of the hub that wrote this file.
"""


class _Hashed:
    """A stream that is written once, counted and hashed on the way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Write all of the data."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    def hexdigest(self) -> str:
        """Return the SHA-256 of what was written."""
        return self._hash.hexdigest()


@dataclass(frozen=True)
class HostPack:
    """One host pack of the fleet."""

    host: int
    name: str
    member: Member
    summary: PackSummary


@dataclass
class FleetSummary:
    """What was written, and what was not."""

    tar_sha256: str = ""
    size: int = 0
    packs: list[HostPack] = field(default_factory=list)
    missing: list[dict[str, str | None]] = field(default_factory=list)
    """Hosts that should have reported: `name`, with its newest key behind if others have that name, too, and
    `last`, when their last entry says it was written, or None."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Hosts of which no pack could be made, and why: one that is damaged, or too large, keeps no other one out."""
    holes: list[tuple[str, Hole]] = field(default_factory=list)
    """Hosts of which entries of the period, or of the logs in their packs, never came."""


@dataclass(frozen=True)
class Period:
    """`since` ≤ t < `until`, and whose it is."""

    since: datetime
    until: datetime
    organisation: str | None = None


def write(
    database: Database, blobs: BlobFiles, path: str, period: Period, now: datetime, *, overwrite: bool
) -> FleetSummary:
    """Write a fleet pack and return what is in it; the file appears whole or not at all.

    Raises: PackError if something stands at the path or the disk refuses.
    """
    if period.since >= period.until:
        raise PackError("period", "an end behind its begin", "none")
    target = Target(path, overwrite=overwrite, step=REPLACE)
    try:
        with tempfile.TemporaryFile(dir=os.path.dirname(path) or ".") as spool:
            summary = FleetSummary()
            states = hosts(database, int(now.timestamp()))
            summary.packs = list(_packs(database, blobs, states, period, spool, summary))
            summary.missing = _missing(states, summary, period, now)
            _tar(target, spool, summary, period, compressed=not path.endswith(".tar"))
        target.commit()
        summary.size = target.size
    except OSError as error:
        raise PackError(path, "a file written whole", (error.strerror or "an error").lower()) from error
    finally:
        target.close()
    return summary


def _packs(
    database: Database,
    blobs: BlobFiles,
    states: list[HostState],
    period: Period,
    spool: IO[bytes],
    fleet: FleetSummary,
) -> Iterator[HostPack]:
    taken: set[str] = set()
    for each in states:
        if each.host is None or not each.logs:
            continue
        source = HostSource(database, blobs, each.host)
        stream, begin = _Hashed(spool), spool.tell()
        found: list[Hole] = []
        try:
            found = holes(database, source, each.host)
            summary = export(
                source,
                cast("BinaryIO", stream),  # all that is asked of it is to write
                since=period.since,
                until=period.until,
                organisation=period.organisation,
                with_script=False,
            )
        except EmptyPeriodError:
            fleet.holes += [(each.name, hole) for hole in found if hole.begin and _in(period, hole)]
            continue
        except EvidenceError as error:
            spool.seek(begin)
            spool.truncate()
            fleet.failed.append((each.name, str(error)))
            continue
        fleet.holes += [(each.name, hole) for hole in found if _in(period, hole) or hole.following in summary.logs[1:]]
        name = f"hosts/{member_name(each, taken)}.tar.gz"
        yield HostPack(each.host, each.name, Member(name, stream.hexdigest(), stream.size), summary)


def _in(period: Period, hole: Hole) -> bool:
    return hole.touches(period.since, period.until)


def member_name(host: HostState, taken: set[str]) -> str:
    """Return the name of a host's pack without its ending, unique among those taken."""
    plain = _ODD.sub("-", host.name.lower()).strip(".-").replace("..", "-")
    plain = plain[:_NAME].rstrip(".-") or "host"  # a dot that the cut left at the end would meet that of the ending
    name = plain
    count = 1
    while name in taken:
        count += 1
        name = f"{plain}-{count}"
    taken.add(name)
    return name


def _missing(
    states: list[HostState], summary: FleetSummary, period: Period, now: datetime
) -> list[dict[str, str | None]]:
    """Return who should have reported and did not, or stopped before the end of the period, or was left out.

    Names are what hosts say when they enrol, and several may say one name: each is judged by what itself has sent.
    """
    present = {each.host for each in summary.packs}
    end = min(period.until, now).timestamp() - STOPPED_S
    count = Counter(each.name for each in states)
    missing: list[dict[str, str | None]] = []
    for each in states:
        wall, alone = each.last_wall, count[each.name] == 1
        stopped = each.host not in present or wall is None or moment(wall).timestamp() < end
        if stopped and _ought(each, period.until.timestamp(), alone=alone):
            missing.append({"last": wall, "name": each.called(alone=alone)})
    return sorted(missing, key=lambda each: each["name"] or "")


def _ought(host: HostState, until: float, *, alone: bool) -> bool:
    """Return whether a host should have reported before an instant: it is listed, or was enrolled by then.

    One that shares its name counts from its evidence on, too: what the others send must not be taken for its own.
    """
    if host.listed or not host.expected or (host.enrolled or 0) < until:
        return host.expected
    return not alone and host.last_wall is not None and moment(host.last_wall).timestamp() < until


def _tar(target: Target, spool: IO[bytes], summary: FleetSummary, period: Period, *, compressed: bool) -> None:
    rest = {"verify.py": script(), "README.txt": README.encode()}
    members = [each.member for each in summary.packs]
    members += [Member(name, hashlib.sha256(data).hexdigest(), len(data)) for name, data in rest.items()]
    if len(members) >= MAX_MEMBERS:
        raise PackError("fleet pack", f"at most {MAX_MEMBERS} members", "more")
    manifest = _manifest(summary, members, period)
    tar = TarStream(target.write, compressed=compressed, max_member=MAX_TOTAL, max_total=MAX_FLEET)
    tar.add("manifest.json", len(manifest), [manifest])
    spool.seek(0)
    for each in summary.packs:
        tar.add(each.member.name, each.member.size, _chunks(spool, each.member.size))
    for name, data in rest.items():
        tar.add(name, len(data), [data])
    summary.tar_sha256 = tar.close()


def _chunks(spool: IO[bytes], left: int) -> Iterator[bytes]:
    while left and (chunk := spool.read(min(left, _CHUNK))):
        left -= len(chunk)
        yield chunk


def _manifest(summary: FleetSummary, members: list[Member], period: Period) -> bytes:
    value: dict[str, Any] = {
        "counts": {"hosts": len(summary.packs), "missing": len(summary.missing)},
        "format": FORMAT,
        "hosts": [
            {"member": each.member.name, "name": each.name, "tar_sha256": each.summary.tar_sha256}
            for each in summary.packs
        ],
        "kind": "fleet",
        "members": members,
        "missing": summary.missing,
        "organisation": period.organisation,
        "period": {"since": time_text(period.since), "until": time_text(period.until)},
    }
    step = "shorten the list of expected hosts, or leave --org out if it is not in Latin letters"
    return checked(restricted_json.encode(value) + b"\n", verify.FLEET_SHAPE, step)


def utc_now() -> datetime:
    """Return the present instant."""
    return datetime.now(timezone.utc)
