"""Debian packages, as dpkg's database on a host or in a distroless image names them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from collectors.contract import Gap, utc
from collectors.reading.errors import AbsentError, ReadError
from collectors.software.apt import EXTENDED_STATES, Automatic, automatic
from collectors.software.dpkg_database import STATUS, STATUS_D, UPDATES, folder_entries, status_entries
from collectors.software.dpkg_status import Entry
from collectors.software.package import Package
from collectors.software.purl import Distribution, deb_purl

if TYPE_CHECKING:
    from collectors.reading.host import Host

INFO = "/var/lib/dpkg/info"
INFO_LIMIT = 2_000_000
WATCHES = (STATUS, f"{STATUS_D}/", EXTENDED_STATES)
READS = (STATUS, f"{STATUS_D}/*", f"{UPDATES}/*", EXTENDED_STATES)
KIB = 1024


def databases(host: Host) -> list[str]:
    """Return the dpkg databases of a host, as paths; `status-old` alone is a database that lost its file."""
    found = []
    if _stands(host, STATUS) or _stands(host, f"{STATUS}-old"):
        found.append(STATUS)
    if _stands(host, STATUS_D):
        found.append(STATUS_D)
    return found


def _stands(host: Host, path: str) -> bool:
    try:
        host.look(path)
    except AbsentError:
        return False
    except ReadError:
        return True  # what it is will be said when it is read
    return True


def packages(host: Host, database: str, where: Distribution) -> Iterator[Package | Gap]:
    """Yield the packages of one of the `databases`, and a gap for each part that could not be read."""
    if database == STATUS_D:
        for each in folder_entries(host):
            yield each if isinstance(each, Gap) else row(each, database, where)
        return
    gaps: list[Gap] = []
    marked, lists = automatic(host, gaps), _lists(host, gaps)
    for each in status_entries(host):
        if isinstance(each, Gap):
            yield each
            continue
        unpacked = _unpacked(host, each, lists, gaps)
        yield row(each, database, where, installed=unpacked, manual=_manual(each, marked))
    yield from gaps


def row(
    entry: Entry,
    database: str,
    where: Distribution,
    *,
    installed: str | None = None,
    manual: bool | None = None,
) -> Package:
    """Return the row of one entry; a package that names no source package is its own."""
    source = (entry.source or entry.name, entry.source_version or entry.version)
    return Package(
        purl=deb_purl(where, entry.name, entry.version, arch=entry.arch, source=source),
        database=database,
        instance=1,
        name=entry.name,
        version=entry.version,
        arch=entry.arch,
        source_name=source[0],
        source_version=source[1],
        vendor=entry.origin,
        maintainer=entry.maintainer,
        licence=None,
        origin=None,
        module=None,
        size_bytes=None if entry.size_kib is None else int(entry.size_kib) * KIB,
        built=None,
        installed=installed,
        manual=manual,
        state=entry.state,
        wanted=entry.wanted,
        needs_reinstall=None if entry.flag is None else entry.flag == "reinstreq",
    )


def _manual(entry: Entry, marked: Automatic | None) -> bool | None:
    """Return whether apt was asked for this package by name; what is not there any more was not."""
    if marked is None or entry.state == "config-files":
        return None
    if entry.arch == "all":
        return entry.name not in marked.names
    return (entry.name, entry.arch) not in marked.pairs


def _lists(host: Host, gaps: list[Gap]) -> frozenset[str]:
    """Return the names of dpkg's file lists; one is written when a package is unpacked."""
    try:
        return frozenset(name for name in host.names(INFO, limit=INFO_LIMIT) if name.endswith(".list"))
    except AbsentError:
        return frozenset()
    except ReadError as error:
        gaps.append(error.gap())
        return frozenset()


def _unpacked(host: Host, entry: Entry, lists: frozenset[str], gaps: list[Gap]) -> str | None:
    """Return when a package's file list was written; the list of a removed one is from its removal."""
    if entry.state == "config-files":
        return None
    for name in (f"{entry.name}:{entry.arch}.list", f"{entry.name}.list"):
        if name in lists:
            try:
                return utc(host.look(f"{INFO}/{name}").mtime)
            except AbsentError:
                return None  # removed since; the next collection tells
            except ReadError as error:
                gaps.append(error.gap())
                return None
    return None
