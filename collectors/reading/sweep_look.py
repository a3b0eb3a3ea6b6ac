"""Looking at the entries of one folder, and keeping those that somebody asked for."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from collectors.reading.errors import AbsentError, read_error
from collectors.reading.facts import Facts, facts_of
from collectors.reading.sweep_folder import Folder
from collectors.reading.sweep_harvest import Harvest
from collectors.reading.sweep_question import Budget, Question

_EXECUTE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_NO_ATTRIBUTE = {errno.ENODATA, errno.ENOTSUP, errno.ENOENT}


class _Shown:
    """What one interest is shown in one folder."""

    __slots__ = ("count", "owners", "some")

    def __init__(self) -> None:
        self.count = 0
        self.some: list[tuple[str, Facts, bytes | None]] = []
        self.owners: set[tuple[int, int]] = set()


class Looker:
    """Asks the question of each entry and fills a harvest."""

    def __init__(self, question: Question, budget: Budget, harvest: Harvest) -> None:
        self._question, self._budget, self.harvest = question, budget, harvest
        self._shown: dict[int, _Shown] = {}
        self._standing: Folder | None = None

    def entries(self, folder: Folder, entries: Iterator[os.DirEntry[str]], names: list[str]) -> int:
        """Look at entries of a folder, add the names of folders to `names`, and return how many there were."""
        troubles: dict[int, int] = {}
        seen = self._look(folder, entries, names, troubles)
        self.harvest.entries += seen
        for number, count in troubles.items():
            self.missed(folder.path(), OSError(number, os.strerror(number)), count)
        if self._shown:
            self._keep(folder, None)
        return seen

    def single(self, above: Folder, name: str, status: os.stat_result, path: str) -> None:
        """Look at one name in a folder, which is to be called by another path."""
        self._look_closer(above, name, status)
        self._keep(above, path)

    def missed(self, path: str, error: OSError, count: int = 1) -> None:
        """Note what the kernel refused; what went away meanwhile is not missed."""
        found = read_error(path, error)
        if not isinstance(found, AbsentError):
            self.harvest.miss(path, found.reason, found.detail, count)

    def _look(
        self, folder: Folder, entries: Iterator[os.DirEntry[str]], names: list[str], troubles: dict[int, int]
    ) -> int:
        """Compare each entry with the question and return how many there were; this loop is what a sweep costs."""
        question = self._question
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
        if self._question.capabilities and facts.kind == "file" and facts.mode & _EXECUTE:
            capability = self._capability(folder, name)
        for index in self._question.asking(name, facts, capable=capability is not None):
            shown = self._shown.setdefault(index, _Shown())
            shown.count += 1
            if shown.count <= self._question.interests[index].crowd:
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
                self.missed(folder.path(name), error)
            return None

    def _keep(self, folder: Folder, only: str | None) -> None:
        """Bring home what was noted in a folder; `only` is the path of the one entry that was looked at."""
        for index, shown in self._shown.items():
            if shown.count > self._question.interests[index].crowd:
                self.harvest.crowd(index, folder.path(), shown.count, shown.owners, self._budget)
                continue
            prefix = folder.path().rstrip("/") + "/"
            for name, facts, capability in shown.some:
                self.harvest.find(index, only or prefix + name, facts, capability, self._budget)
        self._shown.clear()


def _count(troubles: dict[int, int], error: OSError) -> None:
    number = error.errno or errno.EIO
    troubles[number] = troubles.get(number, 0) + 1
