"""Which package ships a file, and the mode and owners that its manager has on record for it.

dpkg: info/*.list, diversions and statoverride; rpm: the headers of its database; apk: lib/apk/db/installed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from collectors.contract import Gap, path_gap
from collectors.reading import rpm_database
from collectors.reading.dpkg_files import dpkg_owner, in_lists, parse_diversions, parse_overrides
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.merged import merged_folders, names_of
from collectors.reading.rpm_files import PackagedFile, packaged_files, wanted_files

if TYPE_CHECKING:
    from collectors.reading.host import Host

DPKG = "/var/lib/dpkg"
APK = "/lib/apk/db/installed"
READS = (f"{DPKG}/info/*.list", f"{DPKG}/diversions", f"{DPKG}/statoverride", *rpm_database.READS, APK)
_LIST_LIMIT = 16 << 20
_APK_LIMIT = 64 << 20
_Names = dict[str, tuple[str, ...]]
"""By path, the names a package may ship it under."""


class Recorded(msgspec.Struct, frozen=True):
    """What a file should be, by the record of its package manager."""

    owner: str
    """A login name, or `#0` for a number that had none."""
    group: str
    mode: int | None
    """Permission bits; None if the package ships no regular file there."""


class Ownership(msgspec.Struct, frozen=True):
    """What is known of the paths that were asked about."""

    packages: dict[str, str] = {}
    """Package by path."""
    recorded: dict[str, Recorded] = {}
    """What an rpm package installed, or an administrator registered with dpkg-statoverride, by path."""
    gaps: tuple[Gap, ...] = ()


def owners_of(host: Host, paths: Iterable[str]) -> Ownership:
    """Return which packages ship these paths; one that no package ships is left out.

    Of several rpm packages that ship one path the last installed counts: what stands there is its file.
    """
    gaps: list[Gap] = []
    merged = merged_folders(host)
    names = {path: names_of(path, merged) for path in paths}
    found = Ownership()
    if names and _stands(host, f"{DPKG}/info"):
        found = _ask_dpkg(host, names, gaps)
    if names and _stands(host, APK):
        shipped = parse_apk_owners(_read(host, APK, _APK_LIMIT, gaps))
        found.packages.update({path: shipped[name] for path, each in names.items() for name in each if name in shipped})
    unclaimed = {path: each for path, each in names.items() if path not in found.packages}
    if unclaimed:
        _ask_rpm(host, unclaimed, found, gaps)
    return msgspec.structs.replace(found, gaps=tuple(gaps))


def _ask_dpkg(host: Host, names: _Names, gaps: list[Gap]) -> Ownership:
    moved = parse_diversions(_read(host, f"{DPKG}/diversions", _LIST_LIMIT, gaps))
    wanted = in_lists((name for each in names.values() for name in each), moved)
    shipped = _dpkg_lists(host, wanted, gaps)
    registered = parse_overrides(_read(host, f"{DPKG}/statoverride", _LIST_LIMIT, gaps))
    found = Ownership()
    for path, each in names.items():
        package = next(filter(None, (dpkg_owner(name, shipped, moved) for name in each)), None)
        if package is not None:
            found.packages[path] = package
        override = next((registered[name] for name in each if name in registered), None)
        if override is not None:
            found.recorded[path] = Recorded(*override)
    return found


def _ask_rpm(host: Host, names: _Names, found: Ownership, gaps: list[Gap]) -> None:
    """Add what rpm says; it is asked for the paths that no other manager claims."""
    wanted = wanted_files(name for each in names.values() for name in each)
    shipped: dict[str, PackagedFile] = {}
    for database in rpm_database.databases(host):
        for item in rpm_database.each_header(host, database, lambda header: packaged_files(header, wanted)):
            if isinstance(item, Gap):
                gaps.append(item)
            else:
                shipped[item.path] = item
    for path, each in names.items():
        file = next((shipped[name] for name in each if name in shipped), None)
        if file is not None:
            found.packages[path] = file.package
            found.recorded[path] = _recorded(file)


def _recorded(file: PackagedFile) -> Recorded:
    mode = stat.S_IMODE(file.mode) if stat.S_ISREG(file.mode) else None
    return Recorded(file.owner, file.group, mode)


def _stands(host: Host, path: str) -> bool:
    try:
        host.look(path, follow=True)
    except AbsentError:
        return False
    except ReadError:
        return True  # reading it will say why not
    return True


def _read(host: Host, path: str, limit: int, gaps: list[Gap]) -> bytes:
    try:
        content = host.read(path, limit=limit)
    except AbsentError:
        return b""
    except ReadError as error:
        gaps.append(error.gap())
        return b""
    if content.truncated:
        gaps.append(path_gap(path, "truncated", f"expected at most {limit} bytes, found more"))
    return content.data


def _dpkg_lists(host: Host, wanted: set[str], gaps: list[Gap]) -> dict[str, set[str]]:
    """Return the packages whose lists name each wanted path; several may, before a diversion is looked at."""
    owners: dict[str, set[str]] = {}
    encoded = {os.fsencode(name) for name in wanted}
    for name in _list_files(host, gaps):
        lines = set(_read(host, f"{DPKG}/info/{name}", _LIST_LIMIT, gaps).split(b"\n"))
        for line in encoded & lines:
            package = name.removesuffix(".list").partition(":")[0]
            owners.setdefault(os.fsdecode(line), set()).add(package)
    return owners


def _list_files(host: Host, gaps: list[Gap]) -> list[str]:
    try:
        return [name for name in host.names(f"{DPKG}/info", limit=1_000_000) if name.endswith(".list")]
    except ReadError as error:
        gaps.append(error.gap())
        return []


def parse_apk_owners(data: bytes) -> dict[str, str]:
    """Return the package of each file in apk's database: lines `P:` package, `F:` folder, `R:` file in it."""
    owners: dict[str, str] = {}
    package = folder = ""
    for line in os.fsdecode(data).split("\n"):
        key, value = line[:2], line[2:]
        if key == "P:":
            package = value
        elif key == "F:":
            folder = value
        elif key == "R:":
            owners["/" + os.path.join(folder, value)] = package
    return owners
