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

from collectors.reading.sweep_folder import FOLDER, Folder, climb, one_mount
from collectors.reading.sweep_harvest import Harvest
from collectors.reading.sweep_look import Looker
from collectors.reading.sweep_mounts import Plan, Points, Start
from collectors.reading.sweep_question import Budget, Question

KEPT_OPEN = 64
ATTEND_EVERY = 16
"""Folders between two looks at the clock and at the other process."""


class Partner(Protocol):
    """The other process of the walk, as one of them sees it."""

    def attend(self, walker: Walker) -> None:
        """Hear what the other one wants, and hand it work if it has none."""

    def more(self, walker: Walker) -> bool:
        """Wait until there is work again; False if the whole walk is done."""


class Walker:
    """One process's part of a walk."""

    def __init__(self, question: Question, plan: Plan, budget: Budget) -> None:
        self.question, self.plan, self.budget = question, plan, budget
        self.harvest = Harvest.of(len(question.interests))
        self._looker = Looker(question, budget, self.harvest)
        self.stack: list[Folder] = []
        self.waiting = 0
        """Names in all `Folder.waiting` of the stack."""
        self.partner: Partner | None = None
        self.on_growth: Callable[[Walker], Partner | None] | None = None
        """Called between folders until it gives a partner."""
        self.spent = ""
        """Which budget is used up; nothing is entered any more."""
        self._flags = FOLDER | os.O_NOATIME
        self._deadline = time.monotonic() + budget.seconds

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
            self._looker.missed(start.path, error)
            return
        name = os.path.basename(start.path) or "."
        try:
            status = os.stat(name, dir_fd=above.fd, follow_symlinks=False)
            if start.device is not None and status.st_dev != start.device:
                self.harvest.miss(start.path, "not_entered", "another file system is seen there than mountinfo says")
                return
            self._looker.single(above, name, status, start.path)
            if stat.S_ISDIR(status.st_mode):
                points = self.plan.points.at(start.path)
                self._scanned(Folder(self._open_folder(name, above.fd), start.path, None, points))
        except OSError as error:
            self._looker.missed(start.path, error)
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
            self._looker.missed(parent.path(name), error)
            return
        points = parent.points.below.get(name) if parent.points else None
        folder = Folder(fd, name, parent, points)
        if folder.device != parent.device and not one_mount(fd, parent.fd):
            self.harvest.miss(folder.path(), "not_entered", "another file system, which mountinfo does not list")
            os.close(fd)
            return
        self._scanned(folder)

    def _scanned(self, folder: Folder) -> None:
        try:
            names = self._scan(folder)
        except OSError as error:  # out of descriptors or memory: scandir wants some of its own
            self._looker.missed(folder.path(), error)
            names = []
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
            self.stack[-1].fd = climb(done, self.stack[-1])
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
        left = self.budget.entries - self.harvest.entries
        with os.scandir(folder.fd) as entries:
            here = _unmounted(entries, folder.points) if folder.points else entries
            seen = self._looker.entries(folder, itertools.islice(here, left + 1), names)
        self.harvest.folders += 1
        if seen > left:
            self.harvest.miss(folder.path(), "truncated", f"the budget of {self.budget.entries} entries is used up")
            self._stop(f"{self.budget.entries} entries")
            return []
        room = self.budget.waiting - self.waiting
        if len(names) > room:
            detail = f"more than {self.budget.waiting} folders waiting; the others were not entered"
            self.harvest.miss(folder.path(), "not_entered", detail, len(names) - room)
            del names[room:]
        return names


def _unmounted(entries: Iterator[os.DirEntry[str]], points: Points) -> Iterator[os.DirEntry[str]]:
    """Yield the entries that nothing is mounted on: a mount is walked from its own start, or never touched."""
    for entry in entries:
        point = points.below.get(entry.name)
        if point is None or not point.mounted:
            yield entry
