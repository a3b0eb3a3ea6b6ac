"""The file a pack becomes: not there, and then there whole, checked, and never over another one.

Where the file system can, the file has no name until it is complete, so that not even a kill leaves half of it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator

from evidence.errors import PackError

PRIVATE = 0o600
SHARED = 0o640
"""For the group of the folder, too."""
ANOTHER_NAME = "choose another name"
REPLACE = f"{ANOTHER_NAME}, or replace it with --overwrite"
"""What to do about a file that stands there, where the command that writes can be told so."""
_CHUNK = 1024 * 1024
_DESCRIPTORS = "/proc/self/fd"
_NOT_HERE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.EPERM, errno.ENOSYS)
"""How file systems and kernels say that they know no unnamed files or no hard links (FAT, some FUSE)."""


class Target:
    """One file in the making; `write`, then `commit`."""

    def __init__(self, path: str, *, overwrite: bool, mode: int = PRIVATE, step: str = ANOTHER_NAME) -> None:
        self.path = path
        self._step = step
        self._mode = mode
        self._overwrite = overwrite
        self._name = os.path.basename(path)
        self._temporary: str | None = None
        self._hash = hashlib.sha256()
        self.size = 0
        self._folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._refuse_existing()
            self._descriptor = self._open()
        except BaseException:
            os.close(self._folder)
            raise

    def _refuse_existing(self) -> None:
        try:
            facts = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        if not self._overwrite:
            raise self._exists()
        if not stat.S_ISREG(facts.st_mode):
            raise PackError(self.path, "a regular file to overwrite", "another kind of file")

    def _exists(self) -> PackError:
        return PackError(self.path, "nothing there yet", "a file", self._step)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC
        try:
            if os.path.isdir(_DESCRIPTORS):  # without it an unnamed file can never be given a name
                return os.open(".", flags | os.O_TMPFILE, PRIVATE, dir_fd=self._folder)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
        self._temporary = self._fresh_name()
        return os.open(self._temporary, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE, dir_fd=self._folder)

    def _fresh_name(self) -> str:
        return f".{self._name[:200]}.{secrets.token_hex(4)}.part"

    def write(self, data: bytes) -> None:
        """Write all of the data. Raises: OSError."""
        self._hash.update(data)
        self.size += len(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def commit(self) -> None:
        """Put the file in place, after it was synced and read back.

        Raises: PackError when it reads back otherwise, or when a file has come to stand there; OSError.
        """
        if self._mode != PRIVATE:
            self._share()
        os.fsync(self._descriptor)
        self._read_back()
        self._place()
        os.fsync(self._folder)

    def _share(self) -> None:
        """Let the group of the folder read the file; where there are no groups (FAT), nothing is shared."""
        group = os.fstat(self._folder).st_gid
        with contextlib.suppress(PermissionError):
            if os.fstat(self._descriptor).st_gid != group:  # a set-group-ID folder has seen to it, and chown is refused
                os.fchown(self._descriptor, -1, group)
            os.fchmod(self._descriptor, self._mode)

    def _read_back(self) -> None:
        # Synced pages may be dropped, so that what is read comes from the device and not from memory.
        with contextlib.suppress(OSError):
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        found = hashlib.sha256()
        for chunk in self._chunks():
            found.update(chunk)
        if found.digest() != self._hash.digest():
            raise PackError(self.path, "the bytes that were written", "others", "the disk or stick is failing")

    def _chunks(self) -> Iterator[bytes]:
        offset = 0
        while chunk := os.pread(self._descriptor, _CHUNK, offset):
            offset += len(chunk)
            yield chunk

    def _place(self) -> None:
        if self._overwrite:
            if self._temporary is None:
                self._temporary = self._fresh_name()
                self._link(self._temporary)
            self._rename()
        elif self._temporary is None:
            self._link(self._name)
        else:
            self._place_named()

    def _place_named(self) -> None:
        """Give a named file its name without replacing another one, also where there are no hard links."""
        try:
            os.link(self._temporary or "", self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except FileExistsError:
            raise self._exists() from None
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            self._refuse_existing()  # FAT: the instant between this look and the rename stays open
            self._rename()

    def _link(self, name: str) -> None:
        try:
            os.link(f"{_DESCRIPTORS}/{self._descriptor}", name, dst_dir_fd=self._folder, follow_symlinks=True)
        except FileExistsError:
            raise self._exists() from None

    def _rename(self) -> None:
        os.rename(self._temporary or "", self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._temporary = None

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what was written, in hex."""
        return self._hash.hexdigest()

    def close(self) -> None:
        """Give everything back; a file that was not committed is gone."""
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary, dir_fd=self._folder)
        os.close(self._descriptor)
        os.close(self._folder)
