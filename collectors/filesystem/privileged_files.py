"""Files that run with their owner's or group's rights: the SUID and SGID bits; execve(2), inode(7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from collectors.contract import HOUR_S, Gap, Row, Table, means, shown
from collectors.filesystem.crowds import gap_of
from collectors.reading.digests import digests_of
from collectors.reading.facts import Facts
from collectors.reading.host import Host
from collectors.reading.owners import Owners, read_owners
from collectors.reading.ownership import Ownership, Recorded, owners_of
from collectors.reading.sweep import Crowd, Finding, Interest, mount_map
from collectors.reading.sweep_mounts import MountMap

SUID, SGID = 0o4000, 0o2000


class PrivilegedFile(Row):
    """One regular file with the SUID or SGID bit, wherever on a local file system it lies."""

    path: Annotated[str, means("path of the file")]
    path_b64: Annotated[str | None, means("the path's bytes in base64, if it is not UTF-8")]
    kind: Annotated[Literal["suid", "sgid", "both"], means("which of the two bits it has")]
    mode: Annotated[str, means("permission bits, octal")]
    owner: Annotated[str | None, means("login name of the owner; absent if passwd does not know it", personal=True)]
    uid: Annotated[int, means("uid of the owner")]
    group: Annotated[str | None, means("name of the group; absent if the group file does not know it")]
    gid: Annotated[int, means("gid of the group")]
    size_bytes: Annotated[int, means("length of the file", unit="bytes")]
    sha256: Annotated[str | None, means("SHA-256 of the content, hex; absent if it could not be read (a gap)")]
    package: Annotated[str | None, means("package that ships the file; absent if none does, or not known (a gap)")]
    expected: Annotated[
        bool | None,
        means(
            "whether mode and owners are those on record: what the rpm package installed,"
            " or dpkg-statoverride registers; absent if none are, or their names are not known here"
        ),
    ]
    mount_nosuid: Annotated[bool | None, means("whether the mount ignores the bits; absent if not known")]


INTEREST = Interest("privileged_files", mode_any=SUID | SGID, kinds=frozenset({"file"}))


def collect(host: Host) -> Iterator[PrivilegedFile | Gap]:
    """Yield each privileged file, with the digest of what it would run."""
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
    digests = digests_of(host, found, mounts)
    yield from digests.all_gaps()
    for each in found:
        yield _row(each, digests.by_path.get(each.path), packages, names, mounts)


def _row(found: Finding, digest: str | None, packages: Ownership, names: Owners, mounts: MountMap) -> PrivilegedFile:
    facts = found.facts
    path, raw = shown(found.path)
    return PrivilegedFile(
        path=path,
        path_b64=raw,
        kind=_kind(facts.mode),
        mode=f"{facts.mode:04o}",
        owner=names.user(facts.uid),
        uid=facts.uid,
        group=names.group(facts.gid),
        gid=facts.gid,
        size_bytes=facts.size_bytes,
        sha256=digest,
        package=packages.packages.get(found.path),
        expected=_as_recorded(facts, packages.recorded.get(found.path), names),
        mount_nosuid=mounts.nosuid(found.path),
    )


def _kind(mode: int) -> Literal["suid", "sgid", "both"]:
    if mode & SUID and mode & SGID:
        return "both"
    return "suid" if mode & SUID else "sgid"


def _as_recorded(facts: Facts, recorded: Recorded | None, names: Owners) -> bool | None:
    """Return whether a regular file is as recorded; None if nothing is, or it cannot be told."""
    if recorded is None:
        return None
    answers = {
        facts.mode == recorded.mode,
        _is_called(recorded.owner, facts.uid, names.users),
        _is_called(recorded.group, facts.gid, names.groups),
    }
    return False if False in answers else None if None in answers else True


def _is_called(name: str, number: int, names: dict[int, str] | None) -> bool | None:
    """Return whether an id is that of a recorded name; None if only a file or server not read could tell."""
    if name == f"#{number}":
        return True
    if names is None or (number not in names and name not in names.values()):
        return None
    return names.get(number) == name


TABLE = Table(
    "privileged_files",
    PrivilegedFile,
    key=("path", "path_b64"),
    reads=("/*",),
    collect=collect,
    needs=("CAP_DAC_READ_SEARCH",),
    interval_s=6 * HOUR_S,
    min_distance_s=60,
    sweep=INTEREST,
    care="""Every local file system is swept once, with no list of folders; of several mounts that show a file, one
where its bits count names it. What every mount of its file system covers cannot be seen. At most 16 GiB and 5 minutes
of processor time go into digests of one reading: root's files first, then an equal share for each owner; a file that
is left out has a gap. `expected` is known for the files of rpm packages, and on hosts of dpkg, which keeps no modes of
what it unpacks, for what dpkg-statoverride registers; it says nothing of the content. SGID folders are no privileged
files and do not stand here.""",
)
