"""Looking at the entries of one folder, and keeping those that somebody asked for."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from collectors.reading.errors import AbsentError, read_error
from collectors.reading.facts import facts_of
from collectors.reading.sweep_folder import Folder
from collectors.reading.sweep_harvest import Harvest
from collectors.reading.sweep_question import Budget, Question
from collectors.reading.sweep_shown import Shown

_KIND, _FOLDER, _LINK, _FILE = 0o170000, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFREG
_EXECUTE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_NO_ATTRIBUTE = {errno.ENODATA, errno.ENOTSUP, errno.ENOENT}


class Looker:
    """Asks the question of each entry and fills a harvest."""

    def __init__(self, question: Question, budget: Budget, harvest: Harvest) -> None:
        self._question, self._budget, self.harvest = question, budget, harvest
        mask = question.bits | _FOLDER | (_EXECUTE if question.capabilities else 0)
        self._terms = (
            question.bits,
            mask,
            question.ownerless,
            question.users,
            question.groups,
            bool(question.names or question.suffixes),
            question.names,
            question.suffixes,
        )
        """What the loop compares, as it takes it into its own variables once a folder."""
        self._shown: dict[int, Shown] = {}
        self._troubles: dict[int, int] = {}
        self._standing: Folder | None = None

    def entries(self, folder: Folder, entries: Iterator[os.DirEntry[str]], names: list[str]) -> int:
        """Look at entries of a folder, add the names of folders to `names`, and return how many there were.

        This loop is what a sweep costs: each step in it is taken for every file of the host.
        """
        bits, mask, ownerless, users, groups, named, marks, suffixes = self._terms
        seen = 0
        try:
            for entry in entries:
                seen += 1
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError as error:
                    self._trouble(error)
                    continue
                mode = status.st_mode
                if mode & mask:  # one test that most files fail; S_IFDIR is also in the modes of devices and sockets
                    kind = mode & _KIND
                    if kind == _FOLDER:
                        names.append(entry.name)
                    if kind != _LINK and (
                        mode & bits or (kind == _FILE and self._capability(folder, entry.name) is not None)
                    ):
                        self._look_closer(folder, entry.name, status)
                        continue
                if (ownerless and (status.st_uid not in users or status.st_gid not in groups)) or (
                    named and ((name := entry.name) in marks or name.endswith(suffixes))
                ):
                    self._look_closer(folder, entry.name, status)
        except OSError as error:  # of the folder itself: what it gave so far is kept
            self._trouble(error)
        self.harvest.entries += seen
        if self._shown or self._troubles:
            self._settle(folder)
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

    def _look_closer(self, folder: Folder, name: str, status: os.stat_result) -> None:
        """Note an entry for each interest that wants it."""
        facts = facts_of(status)
        capability = None
        if self._question.capabilities and facts.kind == "file" and facts.mode & _EXECUTE:
            capability = self._capability(folder, name)
        for index in self._question.asking(name, facts, capable=capability is not None):
            if index not in self._shown:
                self._shown[index] = Shown(self._question.interests[index].crowd)
            self._shown[index].add(name, facts, capability)

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

    def _trouble(self, error: OSError) -> None:
        number = error.errno or errno.EIO
        self._troubles[number] = self._troubles.get(number, 0) + 1

    def _settle(self, folder: Folder) -> None:
        """Bring home what was noted in a folder, and what went wrong there by its kind and count."""
        self._keep(folder, None)
        for number, count in self._troubles.items():
            self.missed(folder.path(), OSError(number, os.strerror(number)), count)
        self._troubles.clear()

    def _keep(self, folder: Folder, only: str | None) -> None:
        """Bring home what was noted in a folder; `only` is the path of the one entry that was looked at."""
        prefix = folder.path().rstrip("/") + "/"
        for index, shown in self._shown.items():
            for owned in shown:
                if owned.some is None:
                    self.harvest.crowd(index, folder.path(), owned, self._budget)
                    continue
                for name, facts, capability in owned.some:
                    self.harvest.find(index, only or prefix + name, facts, capability, self._budget)
        self._shown.clear()
