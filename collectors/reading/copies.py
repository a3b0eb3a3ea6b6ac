"""A private copy of a database that others write while it is read."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from collectors.reading.content import CHUNK, only_kind, reopened, state_of
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.tree import Tree

TRIES = 4
SETTLED_S = 0.05
_States = dict[str, tuple[int, ...] | None]


@contextmanager
def copied(tree: Tree, path: str, side: tuple[str, ...], limit: int) -> Iterator[tuple[str, int]]:
    """Copy a file and its side files into a private folder; give the copy's path and the bytes of all.

    The folder is removed at the end.
    All of them had the same size and times before and after, or it is tried again, four times in all.
    Raises: AbsentError if the file itself is not there; ReadError `changed_while_read`, `truncated` past the
    limit (of all together), and as `Host.read`.
    """
    with _private_folder(path) as folder:
        for attempt in range(TRIES):
            time.sleep(SETTLED_S if attempt else 0)
            before = _states(tree, path, side)
            size = sum(state[2] for state in before.values() if state)
            if size > limit:
                raise ReadError(path, "truncated", f"expected at most {limit} bytes with its side files, found more")
            if _just_written(before):
                continue
            for suffix, state in before.items():
                _copy(tree, path + suffix, os.path.join(folder, "copy" + suffix), state)
            if _states(tree, path, side) == before:
                yield os.path.join(folder, "copy"), size
                return
        raise ReadError(path, "changed_while_read", f"was written during each of {TRIES} attempts to copy it")


def _private_folder(path: str) -> tempfile.TemporaryDirectory[str]:
    """Return a new folder of mode 0700; ReadError at the path that was to be copied if there is no room for one."""
    try:
        return tempfile.TemporaryDirectory(prefix="evidenced-")
    except OSError:
        raise ReadError(path, "io_error", "expected a folder for a private copy, found none; set TMPDIR") from None


def _just_written(states: _States) -> bool:
    """Return whether a file was written so lately that another write could leave it the same times.

    Before Linux 6.13 two writes within one tick of the kernel's clock (up to 10 ms) have equal times.
    """
    now = time.time_ns()
    return any(abs(now - state[4]) < SETTLED_S * 1e9 for state in states.values() if state)


def _states(tree: Tree, path: str, side: tuple[str, ...]) -> _States:
    """Return what would differ after a write, by suffix; None for a side file that is not there."""
    states = {suffix: _state(tree, path + suffix) for suffix in ("", *side)}
    if states[""] is None:
        raise AbsentError(path)
    return states


def _state(tree: Tree, path: str) -> tuple[int, ...] | None:
    try:
        with tree.place(path) as fd:
            status = os.fstat(fd)
    except AbsentError:
        return None
    only_kind("file", path, status)
    return state_of(status)


def _copy(tree: Tree, path: str, to: str, state: tuple[int, ...] | None) -> None:
    """Write a copy of a file as long as it was at the first look; one that is gone leaves none."""
    if os.path.lexists(to):
        os.unlink(to)
    if state is None:
        return
    try:
        with tree.place(path) as place:
            only_kind("file", path, os.fstat(place))
            fd = reopened(place)
            with open(fd, "rb") as source, open(to, "xb") as copy:
                _pour(source, copy, state[2])
    except AbsentError:
        return  # the second look will tell that it changed


def _pour(source: BinaryIO, copy: BinaryIO, size: int) -> None:
    while size > 0:
        part = source.read(min(size, CHUNK))
        if not part:
            return
        copy.write(part)
        size -= len(part)
