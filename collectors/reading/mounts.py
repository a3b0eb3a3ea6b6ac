"""What is mounted where, from mountinfo; format in proc_pid_mountinfo(5). Decides what is never entered."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

import msgspec

NETWORK = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "gfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs"),
        *("nfs", "nfs4", "ocfs2", "orangefs", "panfs", "prl_fs", "pvfs2", "smb3", "smbfs", "vboxsf", "virtiofs"),
        *("vmhgfs", "wekafs"),
    }
)
# devtmpfs is not here: a program with the SUID bit can be put into /dev like anywhere else.
PSEUDO = frozenset(
    {
        *("bdev", "binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "cpuset", "debugfs", "devpts"),
        *("efivarfs", "fusectl", "hugetlbfs", "mqueue", "nfsd", "nsfs", "pipefs", "proc", "pstore", "resctrl"),
        *("rpc_pipefs", "securityfs", "selinuxfs", "smackfs", "sockfs", "sysfs", "tracefs"),
    }
)
INHERITED = "EVIDENCED_MOUNTINFO_FD"
"""Names a descriptor of /proc/1/mountinfo that whoever started us opened: where /proc hides the processes of others
(hidepid, ProtectProc), that takes CAP_SYS_PTRACE, which a reader of files does not have."""
_OF_INIT = "/proc/1/mountinfo"
_LIMIT = 16 << 20
_ESCAPE = re.compile(rb"\\([0-3][0-7]{2})")


class Mount(msgspec.Struct, frozen=True):
    """One line of mountinfo. Paths are as the host names them, inside its root."""

    target: str
    source: str
    fstype: str
    options: tuple[str, ...]
    """Options of this mount (`nosuid`, `ro`), not of the file system behind it."""
    device: int
    """As in `st_dev` of the files in it."""
    root: str = "/"
    """The folder of the file system that is seen here; not "/" for a bind mount or a subvolume."""
    id: int = 0
    parent: int = 0

    @property
    def is_network(self) -> bool:
        """Return whether another machine answers for this file system, or fails to."""
        return self.fstype in NETWORK

    @property
    def is_pseudo(self) -> bool:
        """Return whether the kernel makes up its files, so that they are not files of the host."""
        return self.fstype in PSEUDO

    @property
    def is_refused(self) -> bool:
        """Return whether it is never entered: a network, FUSE or autofs mount can hang whoever touches it."""
        return self.is_network or self.fstype in {"autofs", "fuse", "fuseblk"} or self.fstype.startswith("fuse.")


def parse_mountinfo(data: bytes) -> tuple[Mount, ...]:
    """Return the mounts of a mountinfo file, in its order; a line that has not its shape is passed over.

    Source: proc_pid_mountinfo(5). A space, tab, newline or backslash in a path is written as a backslash
    and three octal digits.
    """
    lines = os.fsdecode(data).split("\n")
    return tuple(mount for mount in map(_parse_line, lines) if mount is not None)


def _parse_line(line: str) -> Mount | None:
    head, separator, tail = line.partition(" - ")
    fields, behind = head.split(" "), tail.split(" ")
    if not separator or len(fields) < 6 or len(behind) < 2:  # noqa: PLR2004  the fixed fields of the manual page
        return None
    number, parent, device, root, target, options = fields[:6]
    major, _, minor = device.partition(":")
    try:
        ids = [int(text) for text in (number, parent, major, minor)]
        device_number = os.makedev(ids[2], ids[3])
    except (ValueError, OverflowError):
        return None
    return Mount(
        target=_plain(target),
        source=_plain(behind[1]),
        fstype=_plain(behind[0]),
        options=tuple(options.split(",")),
        device=device_number,
        root=_plain(root),
        id=ids[0],
        parent=ids[1],
    )


def _plain(text: str) -> str:
    """Return a field without its octal escapes; they stand for bytes, so that any name comes back whole."""
    if "\\" not in text:
        return text
    raw = _ESCAPE.sub(lambda found: bytes([int(found[1], 8)]), os.fsencode(text))
    return os.fsdecode(raw)


def inherited() -> bytes | None:
    """Return what the descriptor of /proc/1/mountinfo says that we were started with; None without one."""
    number = os.environ.get(INHERITED, "")
    if not (number.isascii() and number.isdigit() and len(number) <= 6):  # noqa: PLR2004  more than there can be
        return None
    try:
        if os.readlink(f"/proc/self/fd/{number}") != _OF_INIT:
            return None
        data = bytearray()
        while part := os.pread(int(number), _LIMIT - len(data), len(data)):  # others may read it too: no position
            data += part
    except OSError:
        return None
    return bytes(data)


def on_top(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """Return the mounts that no other covers at the same target (an automounted disk covers its autofs)."""
    every = tuple(mounts)
    by_id = {mount.id: mount for mount in every}
    covered = {
        mount.parent
        for mount in every
        if mount.id != mount.parent and mount.parent in by_id and by_id[mount.parent].target == mount.target
    }
    return tuple(mount for mount in every if mount.id not in covered or mount.id == 0)


def below(mounts: Iterable[Mount], folder: str) -> tuple[Mount, ...]:
    """Return the mounts under a folder, named as they are seen from inside it."""
    prefix = folder.rstrip("/") + "/"
    return tuple(
        msgspec.structs.replace(mount, target="/" + mount.target.removeprefix(prefix))
        for mount in mounts
        if mount.target.startswith(prefix) and mount.target != prefix
    )


class Refused:
    """The mounts that are never entered; the root itself is entered whatever it is.

    `own_ids` are the numbers that such mounts have in this process, whose mounts may be numbered otherwise. `own` are
    the mounts that only this process has: its service unit laid them over what the host has there.
    """

    def __init__(
        self, mounts: Iterable[Mount] = (), *, own_ids: frozenset[int] = frozenset(), own: Iterable[Mount] = ()
    ) -> None:
        every = tuple(mounts)
        chosen = [mount for mount in on_top(every) if mount.is_refused and mount.target != "/"]
        self._by_prefix = {mount.target + "/": mount for mount in chosen}
        self._prefixes = tuple(self._by_prefix)
        self.own_ids = own_ids
        listed = {mount.target for mount in every}
        self._own = sorted((each.target for each in own if each.target not in listed and not each.is_refused), key=len)

    def __bool__(self) -> bool:
        return bool(self._prefixes)

    def over(self, path: str) -> Mount | None:
        """Return the refused mount that a path without links is at or below; by name, nothing is touched."""
        named = path + "/"
        if not named.startswith(self._prefixes):
            return None
        return next(mount for prefix, mount in self._by_prefix.items() if named.startswith(prefix))

    def nearest(self, path: str, folder: str) -> str:
        """Return the deepest mount on the way from a folder to a path that only this process has, else the folder."""
        prefix = folder.rstrip("/") + "/"
        ways = (each for each in reversed(self._own) if each.startswith(prefix) and f"{path}/".startswith(f"{each}/"))
        return next(ways, folder)
