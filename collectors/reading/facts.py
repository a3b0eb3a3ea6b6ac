"""What fstat(2) says, in the words of a row."""

from __future__ import annotations

import os
import stat

import msgspec

ROOT_UID = 0

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "char_device",
    stat.S_IFBLK: "block_device",
}


class Facts(msgspec.Struct, frozen=True):
    """What fstat(2) says of one file, and what it is."""

    kind: str  # file, folder, link, fifo, socket, char_device, block_device
    mode: int  # permission bits only, 0o7777
    uid: int
    gid: int
    size_bytes: int
    mtime: float
    device: int
    inode: int
    links: int


class Content(msgspec.Struct, frozen=True):
    """A file's bytes and the facts of the very descriptor they came from."""

    path: str
    data: bytes
    facts: Facts
    truncated: bool = False
    """The byte limit cut it; the collector yields a `truncated` gap."""


def kind_of(status: os.stat_result) -> str:
    """Return which kind of file a stat result is of, in the words of `Facts.kind`."""
    return _KINDS.get(stat.S_IFMT(status.st_mode), "unknown")


def facts_of(status: os.stat_result) -> Facts:
    """Return the facts of one stat result."""
    return Facts(
        kind=kind_of(status),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size_bytes=status.st_size,
        mtime=status.st_mtime,
        device=status.st_dev,
        inode=status.st_ino,
        links=status.st_nlink,
    )
