"""Which folders are watched for which tables: a file through its folder, an absent one through what is above it."""

from __future__ import annotations

import errno
import os

from agent.daemon import inotify
from agent.daemon.inotify import Inotify, Note
from agent.daemon.plan import HOME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_HOMES = 1000
MOST_READS = 64
"""Reads of the queue in one go, of 64 KiB each: more waits for the next."""
ANY = b""
"""In place of a name: whatever changes in the folder."""
TOO_MANY = "too many watches: see fs.inotify.max_user_watches"
NO_QUEUE = "no queue: see fs.inotify.max_user_instances"
OVERFLOW = "changes came faster than they could be noted"
_FULL = {errno.ENOSPC: TOO_MANY, errno.ENOMEM: TOO_MANY, errno.EMFILE: NO_QUEUE, errno.ENFILE: NO_QUEUE}


class Folder:
    """One folder that is to be watched: for which names, and which tables each concerns."""

    __slots__ = ("follow", "names", "number", "path", "waiting")

    def __init__(self, path: bytes, *, follow: bool) -> None:
        self.path = path
        self.follow = follow
        """Whether links on the way are followed: not to a folder that a user could have made one."""
        self.names: dict[bytes, set[str]] = {}
        self.number: int | None = None
        """Its watch, if it is there and may be watched."""
        self.waiting: int | None = None
        """The watch on a folder above, in which the way to this one is to appear."""

    @property
    def tables(self) -> set[str]:
        """Return all tables that it concerns."""
        return set[str]().union(*self.names.values())


class Watching:
    """All watches. Nothing here ever fails for want of them: the schedule is the safety net."""

    def __init__(self, paths: Mapping[str, tuple[str, ...]], make: type[Inotify] = Inotify) -> None:
        self._paths = paths
        self._make = make
        self._homes: tuple[str, ...] = ()
        self._folders: dict[bytes, Folder] = {}
        self._by_number: dict[int, list[Folder]] = {}
        self._queue: Inotify | None = None
        self.degraded = ""
        """Why changes may be noticed by the schedule only; empty if they are noticed when they happen."""
        self.closed: dict[str, str] = {}
        """Folders that cannot be watched, and why."""
        self.overflows = 0
        self._stale = False
        self._open()

    @property
    def fd(self) -> int:
        """Return the queue's descriptor, -1 without one."""
        return -1 if self._queue is None else self._queue.fd

    @property
    def count(self) -> int:
        """Return how many folders are watched."""
        return len(self._by_number)

    def close(self) -> None:
        """Give all watches back."""
        if self._queue is not None:
            self._queue.close()
            self._queue = None
        self._by_number.clear()
        self._folders.clear()

    def homes(self, homes: Iterable[str]) -> set[str]:
        """Watch below these homes from now on, at most a thousand of them; return as `renew` does."""
        self._homes = tuple(dict.fromkeys(homes))[:MOST_HOMES]
        return self.renew()

    def renew(self) -> set[str]:
        """Compare the watches with what stands at the paths now, and mend them.

        Return the tables of folders that are another than before, or gone, or there at last: what happened in them
        before they were watched was not seen.
        """
        if self._queue is None:
            return self._open()
        armed = {each.path: each.number for each in self._folders.values()}
        before, self._by_number = self._by_number, {}
        self.degraded, self.closed, self._stale = "", {}, False
        self._folders = self._wanted()
        for folder in self._folders.values():
            self._arm(folder)
        for number in before.keys() - self._by_number.keys():
            self._queue.remove(number)
        other = [each for each in self._folders.values() if armed.get(each.path) != each.number]
        return set[str]().union(*(each.tables for each in other))

    def changed(self) -> set[str]:
        """Read the queue and return the tables that it concerns."""
        found: set[str] = set()
        for _ in range(MOST_READS):
            notes = self._queue.read() if self._queue is not None else []
            if not notes:
                break
            for note in notes:
                found |= self._concerned(note)
        return found | self.renew() if self._stale else found

    def _open(self) -> set[str]:
        if not self._paths:
            return set()
        try:
            self._queue = self._make()
        except OSError as error:
            self.degraded = _FULL.get(error.errno or 0, "the kernel has none to give")
            return set()
        return self.renew()

    def _wanted(self) -> dict[bytes, Folder]:
        folders: dict[bytes, Folder] = {}
        for path, tables in self._paths.items():
            below = path.startswith(HOME)
            for each in (f"{home}/{path[len(HOME) :]}" for home in self._homes) if below else (path,):
                place, name = os.path.split(os.fsencode(each))
                folder = folders.setdefault(place or b"/", Folder(place or b"/", follow=not below))
                folder.names.setdefault(name, set()).update(tables)
        return folders

    def _arm(self, folder: Folder) -> None:
        """Watch a folder, or the nearest one above it in which the way to it may appear."""
        folder.number = folder.waiting = None
        if self._queue is None:
            return
        number = self._add(folder, folder.path, whole=True)
        if number is not None:
            folder.number = number
            return
        above = folder.path
        while above != b"/" and folder.waiting is None:
            above = os.path.dirname(above)
            folder.waiting = self._add(folder, above, whole=False)
            if not folder.follow:
                break  # a home that is gone comes back with the next list of users
        if folder.waiting is not None and self._add(folder, folder.path, whole=True) is not None:
            self._arm(folder)  # it appeared in between

    def _add(self, folder: Folder, path: bytes, *, whole: bool) -> int | None:
        if self._queue is None:
            return None
        try:
            number = self._queue.add(path, whole=whole, follow=folder.follow or not whole)
        except OSError as error:
            self._refused(path, error)
            return None
        found = self._by_number.setdefault(number, [])
        if folder not in found:
            found.append(folder)
        return number

    def _refused(self, path: bytes, error: OSError) -> None:
        if error.errno in _FULL:
            self.degraded = _FULL[error.errno]
        elif error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            self.closed[os.fsdecode(path)] = os.strerror(error.errno or 0).lower()

    def _concerned(self, note: Note) -> set[str]:
        if note.mask & inotify.IN_Q_OVERFLOW:
            self.overflows += 1
            self._stale = True
            return set[str]().union(*(each.tables for each in self._folders.values()))
        found: set[str] = set()
        for folder in self._by_number.get(note.watch, ()):
            if note.mask & inotify.GONE:
                self._stale = True
                found |= folder.tables if folder.number == note.watch else set()
            elif folder.number == note.watch:
                found |= _named(folder, note.name)
            elif note.name in folder.path.split(b"/"):  # the next part of the way to it, most likely
                self._stale = True
        return found


def _named(folder: Folder, name: bytes) -> set[str]:
    """Return the tables that a name in a folder concerns; the folder itself, which has no name, concerns all."""
    if not name:
        return folder.tables
    return folder.names.get(name, set()) | folder.names.get(ANY, set())
