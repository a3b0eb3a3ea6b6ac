"""Which package ships a file, and with which mode and owner if its manager records that.

dpkg: info/*.list, diversions and statoverride (dpkg-divert(1), dpkg-statoverride(1)); apk: lib/apk/db/installed.
rpm keeps the same in a database that is not read here: then owners are not known, and a gap says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collectors.contract import Gap, path_gap
from collectors.reading.errors import AbsentError, ReadError

if TYPE_CHECKING:
    from collectors.reading.host import Host

DPKG = "/var/lib/dpkg"
APK = "/lib/apk/db/installed"
RPM = ("/var/lib/rpm", "/usr/lib/sysimage/rpm")
READS = (f"{DPKG}/info/*.list", f"{DPKG}/diversions", f"{DPKG}/statoverride", APK)
_LIST_LIMIT = 16 << 20
_APK_LIMIT = 64 << 20
_MERGED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/libo32")


@dataclass(frozen=True)
class Ownership:
    """Packages by path, for the paths that were asked about."""

    packages: dict[str, str]
    overrides: dict[str, tuple[str, str, int]]
    """Owner, group and mode that an administrator registered with dpkg-statoverride."""
    gaps: tuple[Gap, ...] = ()


def owners_of(host: Host, paths: Iterable[str]) -> Ownership:
    """Return which packages ship these paths; one that no package ships is left out."""
    gaps: list[Gap] = []
    merged = _merged_folders(host)
    names = {path: _names_of(path, merged) for path in paths}
    found = Ownership({}, {}, ())
    by_dpkg, by_apk = _stands(host, f"{DPKG}/info"), _stands(host, APK)
    if by_dpkg:
        found = _ask_dpkg(host, names, gaps)
    if by_apk:
        shipped = parse_apk_owners(_read(host, APK, _APK_LIMIT, gaps))
        found.packages.update({path: shipped[name] for path, each in names.items() for name in each if name in shipped})
    if names and not (by_dpkg or by_apk):
        databases = filter(lambda each: _stands(host, each), RPM)
        gaps += [path_gap(each, "unsupported", "which rpm package ships a file is not looked up") for each in databases]
    return replace(found, gaps=tuple(gaps))


def _ask_dpkg(host: Host, names: dict[str, tuple[str, ...]], gaps: list[Gap]) -> Ownership:
    moved = parse_diversions(_read(host, f"{DPKG}/diversions", _LIST_LIMIT, gaps))
    wanted = {name for each in names.values() for name in each}
    wanted |= {each.original for each in moved if each.moved_to in wanted}  # lists name a moved file as it was
    shipped = _dpkg_owners(host, wanted, gaps)
    registered = parse_overrides(_read(host, f"{DPKG}/statoverride", _LIST_LIMIT, gaps))
    packages: dict[str, str] = {}
    for path, each in names.items():
        package = next(filter(None, (_dpkg_owner(name, shipped, moved) for name in each)), None)
        if package is not None:
            packages[path] = package
    overrides = {path: registered[name] for path, each in names.items() for name in each if name in registered}
    return Ownership(packages, overrides)


def _names_of(path: str, merged: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names a package may ship a file under: /usr/bin/su can be in its list as /bin/su."""
    short = path.removeprefix("/usr")
    if short != path and any(short.startswith(folder + "/") for folder in merged):
        return path, short
    return (path,)


def _merged_folders(host: Host) -> tuple[str, ...]:
    return tuple(folder for folder in _MERGED if _target(host, folder) in {f"usr{folder}", f"/usr{folder}"})


def _target(host: Host, path: str) -> str | None:
    try:
        return host.target(path)
    except ReadError:
        return None


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


def _dpkg_owners(host: Host, wanted: set[str], gaps: list[Gap]) -> dict[str, set[str]]:
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


@dataclass(frozen=True)
class Diversion:
    """One line triple of dpkg's diversions: what stands where another package's file would be."""

    original: str
    moved_to: str
    by: str
    """The package whose own file stays at `original`; ":" for an administrator's local diversion."""


def parse_diversions(data: bytes) -> tuple[Diversion, ...]:
    """Return the diversions; each is three lines: from, to, package. An unfinished last one is left out."""
    lines = os.fsdecode(data).split("\n")
    triples = (lines[at : at + 3] for at in range(0, len(lines) - 3, 3))
    return tuple(Diversion(original, to, by.partition(":")[0] or by) for original, to, by in triples)


def _dpkg_owner(name: str, shipped: dict[str, set[str]], moved: tuple[Diversion, ...]) -> str | None:
    for each in moved:
        if name == each.moved_to:
            original = shipped.get(each.original, set()) - {each.by}
            return min(original) if original else None
        if name == each.original:
            return each.by if each.by in shipped.get(name, set()) else None
    owners = shipped.get(name)
    return min(owners) if owners else None


def parse_overrides(data: bytes) -> dict[str, tuple[str, str, int]]:
    """Return (owner, group, mode) by path of dpkg's statoverride; an id may stand there as `#0`."""
    found = {}
    for line in os.fsdecode(data).split("\n"):
        fields = line.split(" ", 3)
        if len(fields) == 4 and fields[2] and set(fields[2]) <= set("01234567"):  # noqa: PLR2004  owner, group, mode, path
            found[fields[3]] = (fields[0], fields[1], int(fields[2], 8))
    return found


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
