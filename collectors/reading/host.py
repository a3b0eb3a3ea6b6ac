"""The only way to the machine. A live host, a mounted image and a recorded host look alike from here."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from collectors.contract import Gap
from collectors.reading.commands import LISTED, Command, run_program
from collectors.reading.content import content_of, only_kind, reopened
from collectors.reading.copies import copied
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.facts import Content, Facts, facts_of
from collectors.reading.mounts import Mount, Refused, below, inherited, parse_mountinfo
from collectors.reading.recording import KEEPER, Recording
from collectors.reading.resolve import mount_id
from collectors.reading.sweep import Crowd, Finding, Interest, Swept, sweep_found
from collectors.reading.tree import Tree, clean

__all__ = ["MIB", "Content", "Cost", "Facts", "Host"]

MIB = 1 << 20
_REMEMBERED = 10_000
_MOUNTINFO_LIMIT = 16 * MIB
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC


class Cost(msgspec.Struct):
    """What reading has cost so far."""

    files: int = 0
    bytes: int = 0


class Host:
    """One machine as seen through its root folder."""

    live: bool
    """True if this is the running machine itself: only then may commands run."""

    def __init__(self, root: str = "/", *, secret: bytes, recording: Recording | None = None) -> None:
        self.root = root
        self.recording = recording
        self.live = recording is None and os.path.realpath(root) == "/"
        self.cost = Cost()
        self.opened: list[str] = []
        """What was read for content, in order, as asked for, and `command:NAME`; the first 10,000."""
        self._secret = secret
        self._mounts: tuple[Mount, ...] | None = None
        self._refused: Refused | None = None
        self.swept: Swept | None = None
        """What `sweep.prepare` found for all tables at once."""
        self.tree = Tree(root, lambda: self.refused)
        weakref.finalize(self, os.close, self.tree.fd)

    @classmethod
    def recorded(cls, folder: str, *, secret: bytes = b"recorded") -> Host:
        """Return the host that a folder of `fixtures/record.py` holds."""
        return cls(os.path.join(folder, "root"), secret=secret, recording=Recording.load(folder))

    def read(self, path: str, *, limit: int = MIB, untrusted: str | None = None) -> Content:
        """Return the content of one regular file, at most `limit` bytes.

        `untrusted` names a folder, at or above the path, of someone who may plant links: below it none is
        followed. Bytes and facts come from one descriptor.
        Raises: AbsentError; ReadError `permission_denied`, `link_refused`, `not_regular`, `not_entered`,
        `changed_while_read` and what else the kernel says.
        """
        path = clean(path)
        with self.tree.place(path, untrusted=untrusted) as fd:
            if self.recording:
                self.recording.readable(path, self.tree.real(fd))
            data, status, truncated = content_of(path, fd, limit)
            facts = self._facts(fd, status)
        self.note(path, len(data))
        return Content(path, data, facts, truncated)

    def look(self, path: str, *, follow: bool = False, untrusted: str | None = None) -> Facts:
        """Return what stands at a path, not opened for content; a last link is followed only if asked."""
        path = clean(path)
        with self.tree.place(path, follow=follow, untrusted=untrusted) as fd:
            return self._facts(fd, os.fstat(fd))

    def names(self, path: str, *, limit: int = 100_000, untrusted: str | None = None) -> list[str]:
        """Return the names in a folder, sorted by bytes; more than `limit` is a ReadError `truncated`."""
        path = clean(path)
        with self.tree.place(path, untrusted=untrusted) as place:
            only_kind("folder", path, os.fstat(place))
            fd = reopened(place, _FOLDER)
            try:
                with os.scandir(fd) as entries:
                    found = [entry.name for entry in itertools.islice(entries, limit + 1)]
            finally:
                os.close(fd)
        if len(found) > limit:
            raise ReadError(path, "truncated", f"expected at most {limit} names, found more")
        if self.recording and KEEPER in found:
            found.remove(KEEPER)
        return sorted(found, key=os.fsencode)

    def target(self, path: str, *, untrusted: str | None = None) -> str:
        """Return the text of a symbolic link; ReadError `not_regular` if there is something else."""
        path = clean(path)
        with self.tree.place(path, follow=False, untrusted=untrusted) as fd:
            only_kind("link", path, os.fstat(fd))
            return os.readlink("", dir_fd=fd)

    def run(self, command: Command) -> bytes:
        """Return what one of the listed programs printed, on a live host now, on a recorded one then.

        Raises: AbsentError if there is no such program, or this is an image, which runs nothing; ReadError
        `command_failed`, `timed_out`, `truncated`, `permission_denied` if others than root may replace it.
        """
        if command not in LISTED:
            raise ValueError(f"{command.source}: expected one of the listed commands")
        if self.recording:
            output = self.recording.answer(command)
        elif self.live:
            output = run_program(command)
        else:
            raise AbsentError(command.source, "commands are run on a live host only")
        self.note(command.source, len(output))
        return output

    def mounts(self) -> tuple[Mount, ...]:
        """Return the host's real mounts, from /proc/1/mountinfo; of an image, what is mounted inside it."""
        if self._mounts is None:
            self._mounts = self._live_mounts() if self.live else self._mounts_inside()
        return self._mounts

    @property
    def refused(self) -> Refused:
        """The mounts that nothing here enters."""
        if self._refused is None:
            self._refused = Refused()  # for the reads that find out
            own = () if self.recording else parse_mountinfo(_own_mountinfo())
            ids = frozenset({each.id for each in own if each.is_refused} - {mount_id(self.tree.fd)})
            self._refused = Refused(self.mounts(), own_ids=ids, own=own if self.live else ())
        return self._refused

    def pseudonym(self, text: str) -> str:
        """Return a keyed hash (hex) of a personal text: equal ones stay equal, guessing needs the secret."""
        return hmac.new(self._secret, os.fsencode(text), hashlib.sha256).hexdigest()

    @contextmanager
    def copied(self, path: str, *, side: tuple[str, ...] = (), limit: int = 1 << 30) -> Iterator[str]:
        """Copy a database that others write, with its side files, and give the copy's path outside the root.

        The copy is one state: sizes and times of all files were the same before and after. The side files lie
        beside it with the same suffixes (`side=("-wal", "-shm")`). Its folder is private, removed at the end.
        """
        path = clean(path)
        with copied(self.tree, path, side, limit) as (copy, size):
            self.note(path, size)
            yield copy

    def found(self, interest: Interest) -> Iterator[Finding | Crowd | Gap]:
        """Yield what the sweep found for an interest; walks the tree if nobody has yet."""
        return sweep_found(self, interest)

    def _live_mounts(self) -> tuple[Mount, ...]:
        """Return the mounts of process 1, since a unit alters a service's own; or ours if those are closed to us."""
        given = inherited()
        if given is not None:
            return parse_mountinfo(given)
        try:
            return self._mountinfo("/proc/1/mountinfo")
        except ReadError:
            return self._mountinfo("/proc/self/mountinfo")

    def _mounts_inside(self) -> tuple[Mount, ...]:
        """Return what is mounted inside an image, and what a tree copied with its /proc says of itself."""
        inside: tuple[Mount, ...] = ()
        if not self.recording:
            inside = below(parse_mountinfo(_own_mountinfo()), self.tree.path)
        if any(mount.target == "/proc" for mount in inside):
            return inside
        try:
            return inside + self._mountinfo("/proc/1/mountinfo")
        except ReadError:
            return inside

    def _mountinfo(self, path: str) -> tuple[Mount, ...]:
        with self.tree.place(path) as fd:
            return parse_mountinfo(content_of(path, fd, _MOUNTINFO_LIMIT)[0])

    def _facts(self, fd: int, status: os.stat_result) -> Facts:
        facts = facts_of(status)
        return self.recording.facts(self.tree.real(fd), facts) if self.recording else facts

    def note(self, path: str, size: int) -> None:
        """Count what was read for content, and remember it among what was opened."""
        self.cost.files += 1
        self.cost.bytes += size
        if len(self.opened) < _REMEMBERED:
            self.opened.append(path)


def _own_mountinfo() -> bytes:
    with open("/proc/self/mountinfo", "rb") as file:
        return file.read(_MOUNTINFO_LIMIT)
