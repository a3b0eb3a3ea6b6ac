"""From a path inside a root to a descriptor, without ever leaving that root; openat2(2), path_resolution(7).

Two ways that agree: the kernel's own (Linux 5.6 and later), and a walk, part by part, where the kernel or a
seccomp filter has no openat2, or where each step must be compared with mounts that are not to be entered.
Descriptors are O_PATH: nothing is opened for content here, so no FIFO blocks and no device notices.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from collectors.reading import kernel
from collectors.reading.kernel import (
    RESOLVE_BENEATH,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
)

LINK_BUDGET = 40  # path_resolution(7): the kernel's own limit
PLACE = os.O_PATH | os.O_CLOEXEC
Enter = Callable[[str], None]
"""Called with each real path before it is opened; raises if it must not be."""


Passed = Callable[[int], None]
"""Called with the descriptor of each folder, link and file on the way; raises if it must not be used."""


def _any(_: object) -> None:
    """Let everything pass."""


def open_in_root(root_fd: int, path: str, *, follow: bool) -> int:
    """Return an O_PATH descriptor; links stay inside the root, and a last link is followed if asked."""
    flags = PLACE if follow else PLACE | os.O_NOFOLLOW
    try:
        return kernel.openat2(root_fd, path.lstrip("/") or ".", flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    except kernel.UnavailableError:
        return walk(root_fd, path, follow=follow)


def open_plain(folder_fd: int, path: str, *, cross: bool = True) -> int:
    """Return an O_PATH descriptor below a folder, on a way without links; a last link is opened as itself.

    Raises OSError: ELOOP if a link stands in the way, EXDEV if the path climbs out, or enters a mount although it
    must not `cross`. Then not even a question is put to the file system mounted there, which may never answer.
    """
    flags = PLACE | os.O_NOFOLLOW
    rules = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | (0 if cross else RESOLVE_NO_XDEV)
    try:
        return kernel.openat2(folder_fd, path.lstrip("/") or ".", flags, rules)
    except kernel.UnavailableError:
        return walk_plain(folder_fd, path, cross=cross)


def walk_plain(folder_fd: int, path: str, *, cross: bool = True) -> int:
    """Do what `open_plain` does, part by part."""
    mount = None if cross else mount_id(folder_fd)
    here = os.dup(folder_fd)
    for name in _parts(path):
        here = _step(here, name, mount)
    return here


def _step(folder_fd: int, name: str, mount: int | None) -> int:
    """Return the descriptor of a name in a folder, and close the folder's."""
    try:
        if stat.S_ISLNK(os.fstat(folder_fd).st_mode):
            raise _os_error(errno.ELOOP)
        if name == "..":
            raise _os_error(errno.EXDEV)
        fd = os.open(name, PLACE | os.O_NOFOLLOW, dir_fd=folder_fd)
    finally:
        os.close(folder_fd)
    if mount is not None and mount_id(fd) != mount:
        os.close(fd)
        raise _os_error(errno.EXDEV)
    return fd


def mount_id(fd: int) -> int:
    """Return the number of the mount a descriptor is in, as in our own mountinfo; fstat(2) might wait for ever.

    Source: proc_pid_fdinfo(5).
    """
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name == "mnt_id":
                return int(value)
    raise _os_error(errno.ENOSYS)


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def walk(root_fd: int, path: str, *, follow: bool, enter: Enter = _any, passed: Passed = _any) -> int:
    """Do what `open_in_root` does, part by part, asking `enter` before and `passed` after each step."""
    way = _Walk(root_fd, enter, passed)
    try:
        return way.to(path, follow=follow)
    finally:
        way.close()


class _Walk:
    """A way down from the root, as descriptors of the folders passed: ".." needs no trust in names."""

    def __init__(self, root_fd: int, enter: Enter, passed: Passed) -> None:
        self._enter, self._passed = enter, passed
        self._names: list[str] = []
        self._fds = [os.dup(root_fd)]

    def close(self) -> None:
        self._cut(0)

    def _cut(self, length: int) -> None:
        while len(self._fds) > length:
            os.close(self._fds.pop())

    def to(self, path: str, *, follow: bool) -> int:
        todo, budget = _parts(path)[::-1], LINK_BUDGET
        self._passed(self._fds[0])
        while todo:
            name = todo.pop()
            link = self._down(name, last=not todo, follow=follow)
            if link is None:
                continue
            budget -= 1
            if budget < 0:
                raise _os_error(errno.ELOOP)
            if link.startswith("/"):
                self._cut(1)
                self._names.clear()
            todo += _parts(link)[::-1]
        return os.dup(self._fds[-1])

    def _down(self, name: str, *, last: bool, follow: bool) -> str | None:
        """Go to a name in the folder reached; return the text of a link there that is to be followed."""
        if not stat.S_ISDIR(os.fstat(self._fds[-1]).st_mode):
            raise _os_error(errno.ENOTDIR)
        if name in {".", ".."}:
            if name == ".." and self._names:
                os.close(self._fds.pop())
                self._names.pop()
            return None
        self._enter("/" + "/".join([*self._names, name]))
        self._fds.append(os.open(name, PLACE | os.O_NOFOLLOW, dir_fd=self._fds[-1]))
        self._passed(self._fds[-1])
        if stat.S_ISLNK(os.fstat(self._fds[-1]).st_mode) and (follow or not last):
            return self._link_text()
        self._names.append(name)
        return None

    def _link_text(self) -> str:
        """Return where the link just reached leads, and step back from it; ELOOP for a magic link."""
        fd = self._fds.pop()
        try:
            if _in_process_folder(self._names, os.fstat(fd)):
                raise _os_error(errno.ELOOP)
            return os.readlink("", dir_fd=fd)
        finally:
            os.close(fd)


def _in_process_folder(names: list[str], status: os.stat_result) -> bool:
    """Return whether a link stands in /proc/PID, where each one leads past names and roots (symlink(7))."""
    return names[:1] == ["proc"] and "".join(names[1:2]).isdigit() and os.major(status.st_dev) == 0


def _parts(path: str) -> list[str]:
    """Return the names on a path; a slash at its end asks for a folder, as "." does."""
    names = [name for name in path.split("/") if name]
    return [*names, "."] if path.endswith("/") and names else names
