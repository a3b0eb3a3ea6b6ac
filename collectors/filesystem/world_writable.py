"""What everybody may write to: the write bit for others; inode(7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from collectors.contract import HOUR_S, Gap, Row, Table, means, shown
from collectors.filesystem.crowds import one_a_folder
from collectors.reading.host import Host
from collectors.reading.owners import Owners, read_owners
from collectors.reading.sweep import Crowd, Finding, Interest

OTHERS_WRITE, STICKY = 0o0002, 0o1000
Kind = Literal["file", "folder", "fifo", "socket", "char_device", "block_device", "entries"]


class WritableEntry(Row):
    """One entry that others may write to, or the number of them in one folder that holds many."""

    path: Annotated[str, means("path of the entry; of the folder they are in, if kind is `entries`")]
    path_b64: Annotated[str | None, means("the path's bytes in base64, if it is not UTF-8")]
    kind: Annotated[
        Kind, means("what it is; `entries` sums up those of whoever has more than 200 of them in one folder")
    ]
    mode: Annotated[str | None, means("permission bits, octal; absent if kind is `entries`")]
    owner: Annotated[
        str | None,
        means("login name of the owner; absent if passwd does not know it or there are several", personal=True),
    ]
    uid: Annotated[int | None, means("uid of the owner; absent if there are several")]
    sticky: Annotated[
        bool | None,
        means("of a folder: whether only an entry's owner may remove or rename it (sticky bit); absent otherwise"),
    ]
    count: Annotated[int, means("how many entries the row stands for")]


INTEREST = Interest(
    "world_writable",
    mode_any=OTHERS_WRITE,
    kinds=frozenset({"file", "folder", "fifo", "socket", "char_device", "block_device"}),
    crowd=200,
)


def collect(host: Host) -> Iterator[WritableEntry | Gap]:
    """Yield what others may write to."""
    names = read_owners(host)
    for item in one_a_folder(host.found(INTEREST)):
        if isinstance(item, Finding):
            yield _single(item, names)
        elif isinstance(item, Crowd):
            yield _several(item, names)
        else:
            yield item


def _single(found: Finding, names: Owners) -> WritableEntry:
    facts = found.facts
    path, raw = shown(found.path)
    return WritableEntry(
        path=path,
        path_b64=raw,
        kind=msgspec.convert(facts.kind, Kind),
        mode=f"{facts.mode:04o}",
        owner=names.user(facts.uid),
        uid=facts.uid,
        sticky=bool(facts.mode & STICKY) if facts.kind == "folder" else None,
        count=1,
    )


def _several(crowd: Crowd, names: Owners) -> WritableEntry:
    path, raw = shown(crowd.folder)
    return WritableEntry(
        path=path,
        path_b64=raw,
        kind="entries",
        mode=None,
        owner=None if crowd.uid is None else names.user(crowd.uid),
        uid=crowd.uid,
        sticky=None,
        count=crowd.count,
    )


TABLE = Table(
    "world_writable",
    WritableEntry,
    key=("path", "path_b64", "kind"),
    reads=("/etc/passwd", "/etc/group"),
    collect=collect,
    needs=("CAP_DAC_READ_SEARCH",),
    interval_s=6 * HOUR_S,
    min_distance_s=60,
    sweep=INTEREST,
    care="""A folder with the sticky bit (/tmp) stands here too, with `sticky` true; one without it lets everybody
remove and replace what is in it. Links are never listed: their own bits mean nothing. Whether others can reach an
entry at all depends on the folders above it, and access control lists may allow more than the bits say.""",
)
