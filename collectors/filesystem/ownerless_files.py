"""What belongs to nobody: a uid or gid that the host's own passwd and group do not know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from collectors.contract import HOUR_S, Gap, Row, Table, means, shown
from collectors.filesystem.crowds import one_a_folder
from collectors.reading.errors import ReadError
from collectors.reading.host import Host
from collectors.reading.owners import NSSWITCH, directory_sources
from collectors.reading.sweep import Crowd, Finding, Interest


class OwnerlessFile(Row):
    """One entry whose owner or group has no name on this host, or the number of them in one folder."""

    path: Annotated[str, means("path of the entry; of the folder they are in, if kind is `entries`")]
    path_b64: Annotated[str | None, means("the path's bytes in base64, if it is not UTF-8")]
    kind: Annotated[
        str,
        means(
            "file, folder, link, fifo, socket, char_device, block_device;"
            " `entries` sums up those of whoever has more than 200 of them in one folder"
        ),
    ]
    uid: Annotated[int | None, means("uid of the owner, which may have a name; absent if there are several")]
    gid: Annotated[int | None, means("gid of the group, which may have a name; absent if there are several")]
    count: Annotated[int, means("how many entries the row stands for")]


INTEREST = Interest("ownerless_files", ownerless=True, crowd=200)


def collect(host: Host) -> Iterator[OwnerlessFile | Gap]:
    """Yield what nobody owns; where a directory server knows more owners than the files, a gap says so."""
    rows = 0
    for item in one_a_folder(host.found(INTEREST)):
        if isinstance(item, Gap):
            yield item
            continue
        rows += 1
        yield _several(item) if isinstance(item, Crowd) else _single(item)
    if rows:
        yield from _doubts(host)


def _doubts(host: Host) -> Iterator[Gap]:
    try:
        sources = directory_sources(host)
    except ReadError as error:
        yield error.gap()
        return
    if sources:
        detail = f"ids that only {', '.join(sources)} can name look ownerless here"
        yield Gap(NSSWITCH, "unenumerable", detail)


def _single(found: Finding) -> OwnerlessFile:
    facts = found.facts
    path, raw = shown(found.path)
    return OwnerlessFile(path=path, path_b64=raw, kind=facts.kind, uid=facts.uid, gid=facts.gid, count=1)


def _several(crowd: Crowd) -> OwnerlessFile:
    path, raw = shown(crowd.folder)
    return OwnerlessFile(path=path, path_b64=raw, kind="entries", uid=crowd.uid, gid=crowd.gid, count=crowd.count)


TABLE = Table(
    "ownerless_files",
    OwnerlessFile,
    key=("path", "path_b64", "kind"),
    reads=("/etc/passwd", "/etc/group", NSSWITCH),
    collect=collect,
    needs=("CAP_DAC_READ_SEARCH",),
    interval_s=6 * HOUR_S,
    min_distance_s=60,
    sweep=INTEREST,
    care="""Whoever gets the number next gets the file. Ids of rootless containers (subuid(5)) and of directory
servers have no name in passwd and stand here; nsswitch.conf says whether such a server is asked, and then a gap
does too.""",
)
