"""Files that grant capabilities, from the security.capability attribute; capabilities(7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from collectors.contract import HOUR_S, Gap, MalformedError, Row, Table, means, path_gap, shown
from collectors.filesystem.capability import parse_capability
from collectors.filesystem.crowds import gap_of
from collectors.reading.host import Host
from collectors.reading.owners import Owners, read_owners
from collectors.reading.ownership import READS, Ownership, owners_of
from collectors.reading.sweep import Crowd, Finding, Interest, mount_map
from collectors.reading.sweep_mounts import MountMap


class CapableFile(Row):
    """One executable file that gives capabilities to whoever runs it."""

    path: Annotated[str, means("path of the file")]
    path_b64: Annotated[str | None, means("the path's bytes in base64, if it is not UTF-8")]
    capabilities: Annotated[str, means("capability sets as getcap(8) prints them")]
    effective: Annotated[bool, means("whether the program has them from its start, without asking")]
    version: Annotated[int, means("revision of the attribute: 1, 2 or 3")]
    root_id: Annotated[
        int | None, means("uid that is root in the user namespace they count in; absent: they count everywhere")
    ]
    unknown_bits: Annotated[tuple[int, ...], means("numbers of capabilities that have no name yet")]
    mode: Annotated[str, means("permission bits, octal")]
    owner: Annotated[str | None, means("login name of the owner; absent if passwd does not know it", personal=True)]
    uid: Annotated[int, means("uid of the owner")]
    package: Annotated[str | None, means("package that ships the file; absent if none does, or not known (a gap)")]
    mount_nosuid: Annotated[bool | None, means("whether the mount ignores file capabilities; absent if not known")]


INTEREST = Interest("file_capabilities", capabilities=True, kinds=frozenset({"file"}))


def collect(host: Host) -> Iterator[CapableFile | Gap]:
    """Yield each capable file; an attribute that cannot be read is a gap."""
    found: list[Finding] = []
    for item in host.found(INTEREST):
        if isinstance(item, Finding):
            found.append(item)
        elif isinstance(item, Crowd):
            yield gap_of(item)
        else:
            yield item
    packages = owners_of(host, [each.path for each in found])
    yield from packages.gaps
    names, mounts = read_owners(host), mount_map(host)
    for each in found:
        yield _row(each, packages, names, mounts)


def _row(found: Finding, packages: Ownership, names: Owners, mounts: MountMap) -> CapableFile | Gap:
    try:
        capability = parse_capability(found.capability or b"")
    except MalformedError as error:
        return path_gap(found.path, "malformed", f"security.capability: {error}")
    path, raw = shown(found.path)
    return CapableFile(
        path=path,
        path_b64=raw,
        capabilities=capability.text(),
        effective=capability.effective,
        version=capability.version,
        root_id=capability.root_id,
        unknown_bits=capability.unknown,
        mode=f"{found.facts.mode:04o}",
        owner=names.user(found.facts.uid),
        uid=found.facts.uid,
        package=packages.packages.get(found.path),
        mount_nosuid=mounts.nosuid(found.path),
    )


TABLE = Table(
    "file_capabilities",
    CapableFile,
    key=("path", "path_b64"),
    reads=("/etc/passwd", "/etc/group", *READS),
    collect=collect,
    needs=("CAP_DAC_READ_SEARCH",),
    interval_s=6 * HOUR_S,
    min_distance_s=60,
    sweep=INTEREST,
    care="""Every local file system is swept once. Files without any execute bit are not asked: nobody, not even
root, can execute them as they stand. Whether a capability is effective also depends on the mount (`nosuid`) and,
with a root_id, on the user namespace.""",
)
