"""The walk itself: folder by folder, by descriptors, so that no name on the way can be swapped for a link.

Each folder is opened in its parent's descriptor (O_NOFOLLOW) and each entry is looked at in the folder's own;
nothing but folders is ever opened. There is no recursion. At most about 70 descriptors are open: of a branch
deeper than that, folders are closed and found again by "..", and compared with what they were.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from collectors.reading.errors import AbsentError, read_error
from collectors.reading.facts import Facts, facts_of
from collectors.reading.sweep_harvest import Harvest
from collectors.reading.sweep_mounts import Plan, Points, Start
from collectors.reading.sweep_question import Budget, Question

KEPT_OPEN = 64
ATTEND_EVERY = 16
"""Folders between two looks at the clock and at the other process."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_EXECUTE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_NO_ATTRIBUTE = {errno.ENODATA, errno.ENOTSUP, errno.ENOENT}


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


class Partner(Protocol):
    """The other process of the walk, as one of them sees it."""

    def attend(self, walker: Walker) -> None:
        """Hear what the other one wants, and hand it work if it has none."""

    def more(self, walker: Walker) -> bool:
        """Wait until there is work again; False if the whole walk is done."""


class _Shown:
    """What one interest is shown in one folder."""

    __slots__ = ("count", "owners", "some")

    def __init__(self) -> None:
        self.count = 0
        self.some: list[tuple[str, Facts, bytes | None]] = []
        self.owners: set[tuple[int, int]] = set()


class Walker:
    """One process's part of a walk."""

    def __init__(self, question: Question, plan: Plan, budget: Budget) -> None:
        self.question, self.plan, self.budget = question, plan, budget
        self.harvest = Harvest.of(len(question.interests))
        self.stack: list[Folder] = []
        self.waiting = 0
        """Names in all `Folder.waiting` of the stack."""
        self.partner: Partner | None = None
        self.on_growth: Callable[[Walker], Partner | None] | None = None
        """Called between folders until it gives a partner."""
        self.spent = ""
        """Which budget is used up; nothing is entered any more."""
        self._flags = _FOLDER | os.O_NOATIME
        self._deadline = time.monotonic() + budget.seconds
        self._shown: dict[int, _Shown] = {}
        self._standing: Folder | None = None

    def run(self, root_fd: int, starts: tuple[Start, ...]) -> Harvest:
        """Walk from each start, then help the partner until all is done; return what was found."""
        before = os.open(".", os.O_PATH | os.O_CLOEXEC)
        try:
            for start in starts:
                self._begin(root_fd, start)
                self._empty_stack()
            while self.partner and self.partner.more(self):
                self._empty_stack()
            return self.harvest
        finally:
            self.close()
            os.fchdir(before)  # capabilities are asked for relative to the folder a process stands in
            os.close(before)

    def close(self) -> None:
        """Close every descriptor of the stack."""
        while self.stack:
            folder = self.stack.pop()
            if folder.fd >= 0:
                os.close(folder.fd)

    def take(self, folder: Folder, names: list[str]) -> None:
        """Put a folder with names to be entered on the stack."""
        folder.waiting = names
        self.stack.append(folder)
        self.waiting += len(names)
        if self.spent:
            self._stop(self.spent)

    def _empty_stack(self) -> None:
        turns = 0
        while self.stack:
            top = self.stack[-1]
            if not top.waiting:
                self._leave()
                continue
            self.waiting -= 1
            self._descend(top, top.waiting.pop())
            turns += 1
            if turns % ATTEND_EVERY == 0:
                self._attend()

    def _attend(self) -> None:
        if time.monotonic() > self._deadline:
            self._stop(f"{self.budget.seconds:g} seconds")
        if self.partner:
            self.partner.attend(self)
        elif self.on_growth:
            self.partner = self.on_growth(self)

    def _stop(self, spent: str) -> None:
        """Give up what is still waiting, with its count."""
        self.spent = spent
        for folder in self.stack:
            if folder.waiting:
                detail = f"the budget of {spent} is used up; folders in it were not entered"
                self.harvest.miss(folder.path(), "truncated", detail, len(folder.waiting))
                folder.waiting = []
        self.waiting = 0

    def _begin(self, root_fd: int, start: Start) -> None:
        """Look at a start itself, which may be a file (a bind mount can be), and enter it if it is a folder."""
        if self.spent:
            self.harvest.miss(start.path, "truncated", f"the budget of {self.spent} is used up; it was not entered")
            return
        try:
            above = self._open_above(root_fd, start.path)
        except OSError as error:
            self._missed(start.path, error)
            return
        name = os.path.basename(start.path) or "."
        try:
            status = os.stat(name, dir_fd=above.fd, follow_symlinks=False)
            if start.device is not None and status.st_dev != start.device:
                self.harvest.miss(start.path, "not_entered", "another file system is seen there than mountinfo says")
                return
            self._look_closer(above, name, status)
            self._show(above, start.path)
            if stat.S_ISDIR(status.st_mode):
                points = self.plan.points.at(start.path)
                self._scanned(Folder(self._open_folder(name, above.fd), start.path, None, points))
        except OSError as error:
            self._missed(start.path, error)
        finally:
            os.close(above.fd)

    def _open_above(self, root_fd: int, path: str) -> Folder:
        """Return the folder that holds a start, reached name by name and through no link."""
        here = os.dup(root_fd)
        for name in filter(None, os.path.dirname(path).split("/")):
            try:
                below = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            finally:
                os.close(here)
            here = below
        return Folder(here, os.path.dirname(path), None, None)

    def _descend(self, parent: Folder, name: str) -> None:
        """Scan a folder, and put it on the stack if there are folders in it."""
        if parent.length + len(name) >= self.budget.path:
            detail = f"expected paths of at most {self.budget.path} characters"
            self.harvest.miss(parent.path(), "not_entered", detail)
            return
        try:
            fd = self._open_folder(name, parent.fd)
        except OSError as error:
            self._missed(parent.path(name), error)
            return
        points = parent.points.below.get(name) if parent.points else None
        folder = Folder(fd, name, parent, points)
        if folder.device != parent.device and not _one_mount(fd, parent.fd):
            self.harvest.miss(folder.path(), "not_entered", "another file system, which mountinfo does not list")
            os.close(fd)
            return
        self._scanned(folder)

    def _scanned(self, folder: Folder) -> None:
        names = self._scan(folder)
        if not names:
            os.close(folder.fd)
            return
        if self.stack and not self.stack[-1].waiting:
            os.close(self.stack.pop().fd)  # nothing is left to come back for
        elif len(self.stack) > KEPT_OPEN:
            os.close(self.stack[-1].fd)
            self.stack[-1].fd = -1
        self.take(folder, names)

    def _leave(self) -> None:
        """Close the finished folder on top; find the one below it again if that was closed."""
        done = self.stack.pop()
        if self.stack and self.stack[-1].fd < 0:
            self.stack[-1].fd = _climb(done, self.stack[-1])
        while self.stack and self.stack[-1].fd < 0:  # the branch was moved meanwhile: its folders are not found
            lost = self.stack.pop()
            self.waiting -= len(lost.waiting)
            if lost.waiting:
                detail = "moved during the walk; folders in it were not entered"
                self.harvest.miss(lost.path(), "changed_while_read", detail, len(lost.waiting))
        os.close(done.fd)

    def _open_folder(self, name: str, parent_fd: int) -> int:
        try:
            return os.open(name, self._flags, dir_fd=parent_fd)
        except PermissionError as error:
            if error.errno != errno.EPERM or not self._flags & os.O_NOATIME:
                raise
            self._flags &= ~os.O_NOATIME  # it is for the owner and CAP_FOWNER
            return os.open(name, self._flags, dir_fd=parent_fd)

    def _scan(self, folder: Folder) -> list[str]:
        """Look at each entry of a folder and return the names of the folders in it that are to be entered."""
        names: list[str] = []
        troubles: dict[int, int] = {}
        left = max(self.budget.entries - self.harvest.entries, 0)
        with os.scandir(folder.fd) as entries:
            here = _unmounted(entries, folder.points) if folder.points else entries
            seen = self._look(folder, itertools.islice(here, left + 1), names, troubles)
        self.harvest.entries += seen
        self.harvest.folders += 1
        for number, count in troubles.items():
            self._missed(folder.path(), OSError(number, os.strerror(number)), count)
        if self._shown:
            self._show(folder)
        if seen > left:
            self.harvest.miss(folder.path(), "truncated", f"the budget of {self.budget.entries} entries is used up")
            self._stop(f"{self.budget.entries} entries")
            return []
        return self._fitting(folder, names)

    def _look(
        self, folder: Folder, entries: Iterator[os.DirEntry[str]], names: list[str], troubles: dict[int, int]
    ) -> int:
        """Compare each entry with the question and return how many there were; this loop is what a sweep costs."""
        question = self.question
        bits, ownerless = question.bits, question.ownerless
        users, groups, marks, suffixes = question.users, question.groups, question.names, question.suffixes
        close = bits | _EXECUTE if question.capabilities else bits
        mask = close | stat.S_IFDIR
        named = bool(marks or suffixes)
        seen = 0
        try:
            for entry in entries:
                seen += 1
                name = entry.name
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError as error:
                    _count(troubles, error)
                    continue
                mode = status.st_mode
                if mode & mask:  # one test that most files fail; S_IFDIR is also in the modes of devices and sockets
                    kind = mode & 0o170000
                    if kind == stat.S_IFDIR:
                        names.append(name)
                        wanted = mode & bits
                    else:
                        wanted = kind != stat.S_IFLNK and mode & close
                    if wanted:
                        self._look_closer(folder, name, status)
                        continue
                if (ownerless and (status.st_uid not in users or status.st_gid not in groups)) or (
                    named and (name in marks or name.endswith(suffixes))
                ):
                    self._look_closer(folder, name, status)
        except OSError as error:  # of the folder itself: what it gave so far is kept
            _count(troubles, error)
        return seen

    def _look_closer(self, folder: Folder, name: str, status: os.stat_result) -> None:
        """Note an entry for each interest that wants it."""
        facts = facts_of(status)
        capability = None
        if self.question.capabilities and facts.kind == "file" and facts.mode & _EXECUTE:
            capability = self._capability(folder, name)
        for index in self.question.asking(name, facts, capable=capability is not None):
            shown = self._shown.setdefault(index, _Shown())
            shown.count += 1
            if shown.count <= self.question.interests[index].crowd:
                shown.some.append((name, facts, capability))
            if len(shown.owners) < 2:  # noqa: PLR2004  one owner can be named, two are many
                shown.owners.add((facts.uid, facts.gid))

    def _capability(self, folder: Folder, name: str) -> bytes | None:
        """Return a file's security.capability attribute, read beside the folder's descriptor."""
        try:
            if self._standing is not folder:
                os.fchdir(folder.fd)
                self._standing = folder
            return os.getxattr(name, "security.capability", follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_ATTRIBUTE:
                self._missed(folder.path(name), error)
            return None

    def _show(self, folder: Folder, only: str | None = None) -> None:
        """Bring home what was noted in a folder; `only` is the path of the one entry that was looked at."""
        for index, shown in self._shown.items():
            if shown.count > self.question.interests[index].crowd:
                self.harvest.crowd(index, folder.path(), shown.count, shown.owners, self.budget)
                continue
            prefix = folder.path().rstrip("/") + "/"
            for name, facts, capability in shown.some:
                self.harvest.find(index, only or prefix + name, facts, capability, self.budget)
        self._shown.clear()

    def _fitting(self, folder: Folder, names: list[str]) -> list[str]:
        """Return as many of the names as may wait."""
        room = self.budget.waiting - self.waiting
        if len(names) <= room:
            return names
        detail = f"more than {self.budget.waiting} folders waiting; the others were not entered"
        self.harvest.miss(folder.path(), "not_entered", detail, len(names) - room)
        return names[:room]

    def _missed(self, path: str, error: OSError, count: int = 1) -> None:
        """Note what the kernel refused; what went away meanwhile is not missed."""
        found = read_error(path, error)
        if not isinstance(found, AbsentError):
            self.harvest.miss(path, found.reason, found.detail, count)


def _count(troubles: dict[int, int], error: OSError) -> None:
    number = error.errno or errno.EIO
    troubles[number] = troubles.get(number, 0) + 1


def _unmounted(entries: Iterator[os.DirEntry[str]], points: Points) -> Iterator[os.DirEntry[str]]:
    """Yield the entries that nothing is mounted on: a mount is walked from its own start, or never touched."""
    for entry in entries:
        point = points.below.get(entry.name)
        if point is None or not point.mounted:
            yield entry


def _climb(done: Folder, above: Folder) -> int:
    """Return a descriptor of a folder above an open one, or -1 if it is no longer there."""
    fd = os.dup(done.fd)
    for _ in range(done.depth - above.depth):
        try:
            up = os.open("..", _FOLDER, dir_fd=fd)
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


def _one_mount(first_fd: int, second_fd: int) -> bool:
    """Return whether two folders are in one mount: then another device number means a btrfs subvolume."""
    try:
        return _mount_id(first_fd) == _mount_id(second_fd)
    except OSError:
        return False


def _mount_id(fd: int) -> bytes:
    """Return what proc_pid_fdinfo(5) says of a descriptor's mount."""
    with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
        return next(line for line in file if line.startswith(b"mnt_id:"))
