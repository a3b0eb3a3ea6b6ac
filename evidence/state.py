"""Folders of the state: held by descriptor, owned by us, never reached through a link.

docs/formats.md, section 7. Every name below the state folder is opened relative to the folder that holds it and
without following a link, and what was opened is checked by its descriptor: nobody can swap it in between.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from evidence.errors import DamageError, StateError, UnsafeStateError

FOLDER_MODE = 0o700
FILE_MODE = 0o600
_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CHUNK = 1 << 20


class Folder:
    """One folder of the state by its descriptor; `path` is for messages only."""

    def __init__(self, descriptor: int, path: str, owner: int | None = None) -> None:
        self.descriptor = descriptor
        self.path = path
        self.owner = os.geteuid() if owner is None else owner
        """The user that everything in it must belong to."""

    def close(self) -> None:
        """Give the descriptor back; a second call does nothing, and closing a folder can lose nothing."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def where(self, name: str) -> str:
        """Return the path of a name in this folder, for a message."""
        return os.path.join(self.path, name)

    def folder(self, name: str, *, create: bool = False) -> Folder:
        """Return a folder in this one; a created one is on disk before this returns.

        Raises: FileNotFoundError when it is absent and not to be created; UnsafeStateError.
        """
        if create and self.facts(name) is None:
            self.make(name)
            self.sync()
        path = self.where(name)
        descriptor = _opened(name, os.O_RDONLY | os.O_DIRECTORY, path, folder=self.descriptor)
        return Folder(_checked(descriptor, path, stat.S_IFDIR, self.owner), path, self.owner)

    def make(self, name: str) -> None:
        """Make a folder in this one if it is not there; durable after the next `sync`."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, FOLDER_MODE, dir_fd=self.descriptor)

    def open(self, name: str, flags: int, *, private: bool = False) -> int:
        """Return the descriptor of a regular file of ours; `private` also refuses one that others may read.

        Raises: OSError; UnsafeStateError on a link, another owner or a file that others may write.
        """
        path = self.where(name)
        descriptor = _opened(name, flags, path, folder=self.descriptor)
        return _checked(descriptor, path, stat.S_IFREG, self.owner, forbidden=0o077 if private else 0o022)

    def read(self, name: str, limit: int, *, private: bool = False) -> bytes:
        """Return all bytes of a file. Raises: FileNotFoundError; DamageError past `limit` bytes."""
        descriptor = self.open(name, os.O_RDONLY, private=private)
        try:
            data = read_all(descriptor, limit + 1)
        finally:
            os.close(descriptor)
        if len(data) > limit:
            raise DamageError(self.where(name), f"at most {limit} bytes", "more")
        return data

    def replace(self, name: str, data: bytes) -> None:
        """Put a file with these bytes in place, durably: after a crash it is the old one or the new one."""
        self.stage(name, data)
        self.sync_staged(name)
        self.publish(name)
        self.sync()

    def stage(self, name: str, data: bytes) -> None:
        """Write the bytes under a name that nobody reads; `sync_staged` and `publish` put them in place.

        To stage several files before the first is synced lets a journal write them down together.
        """
        self.discard(name)
        descriptor = self.open(staged(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with self._discarded_on_error(name):
            try:
                write_all(descriptor, data)
            finally:
                os.close(descriptor)

    def sync_staged(self, name: str) -> None:
        """Make the bytes of a staged file durable."""
        with self._discarded_on_error(name):
            descriptor = self.open(staged(name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def publish(self, name: str) -> None:
        """Put a staged file in place; durable after the next `sync`."""
        with self._discarded_on_error(name):
            os.rename(staged(name), name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def discard(self, name: str) -> None:
        """Remove what a crash left staged, if anything."""
        self.remove(staged(name))

    @contextlib.contextmanager
    def _discarded_on_error(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError:
            with contextlib.suppress(OSError):
                self.discard(name)
            raise

    def remove(self, name: str) -> None:
        """Remove a file; an absent one is as good as removed."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)

    def sync(self) -> None:
        """Make the names in this folder durable."""
        os.fsync(self.descriptor)

    def facts(self, name: str) -> os.stat_result | None:
        """Return lstat(2) of a name, or None when there is nothing."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def names(self) -> list[str]:
        """Return the names in this folder, sorted. Raises: OSError, which names the path and not the descriptor."""
        try:
            return sorted(os.listdir(self.descriptor))
        except OSError as error:
            error.filename = self.path
            raise


def staged(name: str) -> str:
    """Return the name under which a file waits for its rename."""
    return f".{name}.new"


def open_state(path: str, *, create: bool) -> Folder:
    """Return the state folder: ours, closed to everyone else, below folders that nobody else can swap.

    Whoever creates it wants to write, and must own it. Root may read one that as a whole belongs to one other user:
    everything below it must then be that user's, who could read it anyway.
    Raises: FileNotFoundError when it is absent and not to be created; StateError; UnsafeStateError.
    """
    path = os.path.abspath(path)
    if create:
        _make_folders(path)
        _sync_path(os.path.dirname(path))  # a process that made it may have been killed before it did this
    descriptor = _opened(path, os.O_RDONLY | os.O_DIRECTORY, path)
    owner = os.geteuid() if create or os.geteuid() else os.fstat(descriptor).st_uid
    folder = Folder(_checked(descriptor, path, stat.S_IFDIR, owner, forbidden=0o077), path, owner)
    try:
        _check_ancestors(os.path.dirname(os.path.realpath(path)), owner)
    except BaseException:
        folder.close()
        raise
    return folder


def _make_folders(path: str) -> None:
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(each, FOLDER_MODE)
        _sync_path(os.path.dirname(each))


def _sync_path(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return  # a folder we may write to and not list: its owner's file system decides
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _opened(name: str, flags: int, path: str, folder: int | None = None) -> int:
    try:
        return os.open(name, flags | _SAFE, FILE_MODE, dir_fd=folder)
    except OSError as error:
        linked = error.errno == errno.ELOOP or (
            error.errno == errno.ENOTDIR and os.path.islink(path)  # O_DIRECTORY is looked at first
        )
        if linked:
            step = "put the real file or folder in its place"
            raise UnsafeStateError(path, "no symbolic link", "one", step) from None
        if error.errno == errno.ENOTDIR:
            raise StateError(path, "a folder", "something else", "name another state folder") from None
        raise


def _checked(descriptor: int, path: str, kind: int, owner: int, *, forbidden: int = 0o022) -> int:
    """Return the descriptor if what it holds is safe; else close it and say why not."""
    try:
        _check(os.fstat(descriptor), path, kind, owner, forbidden)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(facts: os.stat_result, path: str, kind: int, owner: int, forbidden: int) -> None:
    what = "folder" if kind == stat.S_IFDIR else "regular file"
    if stat.S_IFMT(facts.st_mode) != kind:
        raise UnsafeStateError(path, f"a {what}", "another kind of file", "look who put it there")
    if facts.st_uid != owner:
        step = "run as its owner, or name another state folder"
        raise UnsafeStateError(path, f"a {what} of user {owner}", f"user {facts.st_uid}", step)
    mode = stat.S_IMODE(facts.st_mode)
    if mode & forbidden:
        step = f"look who could have used it, then: chmod {mode & ~forbidden:04o}"
        raise UnsafeStateError(path, f"mode {mode & ~forbidden:04o}", f"{mode:04o}", step)


def _check_ancestors(path: str, owner: int) -> None:
    """Refuse a folder above that someone else could swap for another; a sticky one like /tmp keeps ours."""
    for each in _upwards(path):
        facts = os.stat(each)
        if facts.st_mode & 0o002 and not facts.st_mode & stat.S_ISVTX:
            raise UnsafeStateError(each, "a folder not writable by everyone", "one that is", f"chmod o-w {each}")
        if facts.st_uid not in (0, owner, _nobody()):
            step = "name a state folder elsewhere"
            raise UnsafeStateError(each, f"a folder of root or user {owner}", f"user {facts.st_uid}", step)


def _upwards(path: str) -> Iterator[str]:
    while True:
        yield path
        if path == "/":
            return
        path = os.path.dirname(path)


def _nobody() -> int:
    """Return the id under which a user namespace shows owners it does not know, such as the real root."""
    try:
        with open("/proc/sys/kernel/overflowuid", encoding="ascii") as text:
            return int(text.read())
    except (OSError, ValueError):
        return 65534


def read_all(descriptor: int, limit: int) -> bytes:
    """Return the bytes of a file from where it stands, at most `limit`."""
    parts = []
    left = limit
    while left and (part := os.read(descriptor, min(left, _CHUNK))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte; write(2) may take fewer than it was given.

    Raises: OSError, also when nothing was taken: a device that accepts nothing would be asked for ever.
    """
    view = memoryview(data)
    while view:
        taken = os.write(descriptor, view)
        if not taken:
            raise OSError(errno.EIO, "write(2) took no byte")
        view = view[taken:]
