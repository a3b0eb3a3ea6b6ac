"""What each mount shows of its file system, and which of it no other mount shows as well.

A bind mount shows files again under another name. It does not always show the same ones: what is mounted below a
folder in one view covers files that the other view has, and each view has a `nosuid` of its own.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from collectors.reading.mounts import Mount

_DELETED = "//deleted"
"""How the kernel ends the root of a mount whose folder or file has no name any more; no path has two slashes."""


class View:
    """What one mount shows: a folder of its file system, less what others cover in it. Paths count from there."""

    def __init__(self, mount: Mount, holes: Iterable[str]) -> None:
        self.mount = mount
        self._holes = sorted(holes)
        self._hole = frozenset(self._holes)

    def shows(self, path: str) -> bool:
        """Return whether the view has what the file system has at a path."""
        if self.mount.root.endswith(_DELETED):
            return path == self.mount.root
        if path.endswith(_DELETED) or not _within(path, self.mount.root):
            return False
        while path not in self._hole and len(path) > len(self.mount.root):
            path = os.path.dirname(path)
        return path not in self._hole

    def misses(self, path: str) -> list[str]:
        """Return the highest places at or below a path that the view does not show; the path itself if it is wider."""
        if not self.shows(path):
            return [path]
        first = _prefix(path)
        return self._holes[bisect_left(self._holes, first) : bisect_left(self._holes, first[:-1] + "0")]

    def named(self, path: str) -> str:
        """Return what the host calls a place that the view shows."""
        rest = path.removeprefix(self.mount.root).lstrip("/")
        return os.path.join(self.mount.target, rest) if rest else self.mount.target


def unshown(chosen: Sequence[Mount], standing: Sequence[Mount]) -> Iterator[tuple[Mount, str]]:
    """Yield (mount, path) for each place to be walked, so that all that any chosen mount shows is, once if possible.

    Views that let SUID count are asked first: a stricter one is walked only where none of them shows the same. The
    root comes before its equals, since it is walked anyway, and a wide view before those that show a part of it.
    """
    holes = _holes(standing)
    order = sorted(range(len(chosen)), key=lambda at: _preference(chosen[at], at))
    earlier: dict[int, list[View]] = {}
    found: list[tuple[int, Mount, str]] = []
    for at in order:
        mount = chosen[at]
        view = View(mount, holes.get(mount.target, ()))
        same = earlier.setdefault(mount.device, [])
        found += [(at, mount, view.named(part)) for part in _left(view, same)]
        same.append(view)
    return ((mount, path) for _, mount, path in sorted(found, key=lambda each: (each[0], each[2])))


def _left(view: View, earlier: Iterable[View]) -> list[str]:
    """Return the highest places that a view shows and no earlier one does."""
    parts = [view.mount.root]
    for other in earlier:
        parts = [piece for part in parts for piece in other.misses(part) if view.shows(piece)]
        if not parts:
            break
    return parts


def _preference(mount: Mount, at: int) -> tuple[bool, bool, int, int]:
    return "nosuid" in mount.options, mount.target != "/", mount.root.rstrip("/").count("/"), at


def _holes(standing: Sequence[Mount]) -> dict[str, list[str]]:
    """Return what is covered in each mount by those that stand in it, by target."""
    targets = {mount.target: mount for mount in standing}
    holes: dict[str, list[str]] = {}
    for mount in standing:
        above = os.path.dirname(mount.target)
        while above not in targets and above != "/":
            above = os.path.dirname(above)
        if mount.target == "/" or above not in targets:
            continue
        place = os.path.join(targets[above].root, mount.target.removeprefix(above).lstrip("/"))
        holes.setdefault(above, []).append(place)
    return holes


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(_prefix(folder))


def _prefix(folder: str) -> str:
    return folder.rstrip("/") + "/"
