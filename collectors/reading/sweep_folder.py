"""A folder on the way of a walk: held by a descriptor, found again by "..", named only when that is asked."""

from __future__ import annotations

import os

from collectors.reading.sweep_mounts import Points

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Folder:
    """A folder on the way down; its path is put together only when it is needed."""

    __slots__ = ("depth", "device", "fd", "inode", "length", "name", "parent", "points", "waiting")
    depth: int
    length: int

    def __init__(self, fd: int, name: str, parent: Folder | None, points: Points | None, depth: int = 0) -> None:
        status = os.fstat(fd)
        self.fd = fd
        self.name = name
        """The whole path if there is no parent."""
        self.parent = parent
        self.points = points
        self.depth = parent.depth + 1 if parent else depth
        self.length = (parent.length if parent else 0) + len(name) + 1
        self.device = status.st_dev
        self.inode = status.st_ino
        self.waiting: list[str] = []
        """Names of folders in it that are still to be entered."""

    def path(self, name: str = "") -> str:
        """Return the folder's path, or that of a name in it."""
        names = [name] if name else []
        here: Folder = self
        while here.parent:
            names.append(here.name)
            here = here.parent
        return "/" + "/".join([*filter(None, [here.name.strip("/")]), *reversed(names)])


def climb(done: Folder, above: Folder) -> int:
    """Return a descriptor of a folder above an open one, or -1 if it is no longer there."""
    fd = os.dup(done.fd)
    for _ in range(done.depth - above.depth):
        try:
            up = os.open("..", FOLDER, dir_fd=fd)
        except OSError:
            return -1
        finally:
            os.close(fd)
        fd = up
    status = os.fstat(fd)
    if (status.st_dev, status.st_ino) == (above.device, above.inode):
        return fd
    os.close(fd)
    return -1


def one_mount(first_fd: int, second_fd: int) -> bool:
    """Return whether two folders are in one mount: then another device number means a btrfs subvolume."""
    try:
        return _mount_id(first_fd) == _mount_id(second_fd)
    except OSError:
        return False


def _mount_id(fd: int) -> bytes:
    """Return what proc_pid_fdinfo(5) says of a descriptor's mount."""
    with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
        return next(line for line in file if line.startswith(b"mnt_id:"))
