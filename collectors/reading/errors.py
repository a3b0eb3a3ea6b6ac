"""Why a read gave nothing: one exception, which is a gap in the making."""

from __future__ import annotations

import errno
import os

from collectors.contract import Gap, Reason, path_gap

_REASONS: dict[int, Reason] = {
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.ELOOP: "link_refused",
    errno.EXDEV: "link_refused",  # openat2(2): the path leads out of the tree it was held in
    errno.ETIMEDOUT: "timed_out",
    errno.EISDIR: "not_regular",
    errno.ENXIO: "not_regular",
    errno.ENODEV: "not_regular",
}


class ReadError(Exception):
    """A path or program that could not be read. `detail` never holds text of a file."""

    def __init__(self, path: str, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{path}: {reason}" + (f": {detail}" if detail else ""))
        self.path = path
        self.reason: Reason = reason
        self.detail = detail

    def gap(self, *, line: int | None = None) -> Gap:
        """Return the gap this error leaves in the evidence."""
        return path_gap(self.path, self.reason, self.detail, line=line)


class AbsentError(ReadError):
    """Nothing stands at the path. Whether that is a gap or a plain fact is for the collector to say."""

    def __init__(self, path: str, detail: str = "") -> None:
        super().__init__(path, "absent", detail)


def read_error(path: str, error: OSError) -> ReadError:
    """Return what an error of the kernel at a path means to a collector.

    A part of the path that is no folder (ENOTDIR) means that nothing stands at the path. A process that
    ended meanwhile (ESRCH, under /proc) is gone like a file that was removed.
    """
    number = error.errno or 0
    if number in {errno.ENOENT, errno.ENOTDIR, errno.ESRCH}:
        return AbsentError(path)
    if number in _REASONS:
        return ReadError(path, _REASONS[number], os.strerror(number).lower())
    return ReadError(path, "io_error", os.strerror(number).lower() if number else type(error).__name__)


def wrong_kind(path: str, expected: str, found: str) -> ReadError:
    """Return the error for another kind of file than was expected, in the words of `Facts.kind`."""
    reason: Reason = "link_refused" if found == "link" else "not_regular"
    return ReadError(path, reason, f"expected a {expected}, found a {found.replace('_', ' ')}")
