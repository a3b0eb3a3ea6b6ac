"""A folder taken as the root of a host: which descriptor a path means, and what is refused on the way."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from collectors.reading.errors import ReadError, read_error
from collectors.reading.mounts import Refused
from collectors.reading.resolve import PLACE, mount_id, open_in_root, open_plain, walk


class Tree:
    """The root, held by a descriptor: what its own path leads to later makes no difference."""

    def __init__(self, root: str, refused: Callable[[], Refused]) -> None:
        self.fd = os.open(root, PLACE | os.O_DIRECTORY)
        self.path = _path_of(self.fd)
        self._refused = refused

    @contextmanager
    def place(self, path: str, *, follow: bool = True, untrusted: str | None = None) -> Iterator[int]:
        """Give an O_PATH descriptor of what stands at a clean path, and close it afterwards.

        With `untrusted`, a folder at or above the path, no link is followed below that folder.
        Raises: ReadError, AbsentError; an OSError of the body becomes a ReadError at the path.
        """
        fd = -1
        try:
            fd = self._open(path, follow=follow) if untrusted is None else self._open_below(path, untrusted)
            self._on_allowed_mount(path, fd)
            yield fd
        except OSError as error:
            raise read_error(path, error) from None
        finally:
            if fd >= 0:
                os.close(fd)

    def real(self, fd: int) -> str:
        """Return the path inside the root that a descriptor has now, without links."""
        return "/" + _path_of(fd).removeprefix(self.path).lstrip("/")

    def _open(self, path: str, *, follow: bool) -> int:
        if not self._refused():
            return open_in_root(self.fd, path, follow=follow)
        # A link may lead into a mount that hangs, so the kernel is only trusted with a way that has none.
        if "/.." not in path:
            self._enter(path, path)
            fd = _linkless(self.fd, path, follow=follow)
            if fd is not None:
                return fd
        return walk(self.fd, path, follow=follow, enter=lambda real: self._enter(path, real))

    def _open_below(self, path: str, folder: str) -> int:
        """Return what stands at a path in a folder whose owner is not trusted to place links."""
        folder = clean(folder)
        own = self._refused().nearest(path, folder)
        if own != folder and own == path:  # a file with a mount of its own: it is what stands there
            return self._open(path, follow=False)
        folder = own
        rest = path.removeprefix(folder.rstrip("/"))
        if not (path + "/").startswith(folder.rstrip("/") + "/") or "/.." in rest:
            raise ReadError(path, "link_refused", f"expected a path below {folder!a}, found one that leaves it")
        base = self._open(folder, follow=True)
        try:
            self._enter(path, self.real(base).rstrip("/") + rest)
            return open_plain(base, rest, cross=False)
        except OSError as error:
            if error.errno == errno.EXDEV:  # he may have mounted a FUSE file system a moment ago
                raise ReadError(path, "not_entered", f"a mount below {folder!a} is not entered") from None
            raise
        finally:
            os.close(base)

    def _enter(self, path: str, real: str) -> None:
        mount = self._refused().over(real)
        if mount is not None:
            raise ReadError(path, "not_entered", f"a {mount.fstype} mount is never entered")

    def _on_allowed_mount(self, path: str, fd: int) -> None:
        """Raise if a mount that is never entered was reached by a name it is not listed under."""
        ids = self._refused().own_ids
        if ids and mount_id(fd) in ids:
            raise ReadError(path, "not_entered", "a network, FUSE or autofs mount is never entered")


def clean(path: str) -> str:
    """Return an absolute path without empty and "." parts; ".." stays: only the tree knows where it leads."""
    if not path.startswith("/") or "\0" in path:
        raise ReadError(path, "malformed", "expected an absolute path without NUL")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ReadError(ascii(path), "malformed", "expected a path that can be a file's name") from None
    return "/" + "/".join(name for name in path.split("/") if name not in {"", "."})


def _linkless(root_fd: int, path: str, *, follow: bool) -> int | None:
    """Return the descriptor of a path, or None if a link that is to be followed stands in it."""
    try:
        fd = open_plain(root_fd, path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise
    if follow and stat.S_ISLNK(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    return fd


def _path_of(fd: int) -> str:
    return os.readlink(f"/proc/self/fd/{fd}")
