"""Which mounts the sweep walks: all local files once, and nothing that another machine answers for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import msgspec

from collectors.contract import Gap, path_gap
from collectors.reading.mounts import Mount
from collectors.reading.sweep_views import unshown

ROOT = 0
"""Stands for the root's mount, which a chroot hides from mountinfo. No mount has the id 0 there."""


class Points(msgspec.Struct):
    """A folder on the way to a mount point, or one: what stands below it by name."""

    below: dict[str, Points] = {}
    mounted: bool = False

    def at(self, path: str) -> Points | None:
        """Return the points below a folder; None if there are none."""
        here: Points | None = self
        for name in _names(path):
            here = here.below.get(name) if here else None
        return here

    def add(self, path: str) -> None:
        """Say that something is mounted at a path."""
        here = self
        for name in _names(path):
            here = here.below.setdefault(name, Points())
        here.mounted = True


class Start(msgspec.Struct, frozen=True):
    """A place where a walk begins."""

    path: str
    device: int | None = None
    """What `st_dev` must be there; None if that cannot be known before."""


class Plan(msgspec.Struct, frozen=True):
    """Where walks begin, where they end, and what stays out that may hold files of the host."""

    starts: tuple[Start, ...]
    points: Points
    gaps: tuple[Gap, ...]


def plan(mounts: Sequence[Mount]) -> Plan:
    """Return the plan for a host with these mounts; without any, one walk from the root.

    A bind mount is walked where it shows what no other mount does: what is covered there, or ignores SUID there.
    The kernel's own file systems hold no files. Network, FUSE and autofs mounts are gaps; so are the roots of
    containers, whose layers are folders of the host and are swept as such. The root itself is walked whatever it
    is: all else is read from it too. What is covered in every mount of its file system cannot be seen.
    """
    standing = tuple(_standing(mounts))
    points = Points()
    for mount in standing:
        if mount.target != "/":
            points.add(mount.target)
    containers = [mount for mount in standing if _is_container_root(mount)]
    chosen = [mount for mount in standing if not (mount.is_pseudo or mount.is_refused or mount in containers)]
    gaps = [_containers_gap(containers)] if containers else []
    gaps += [
        path_gap(mount.target, "not_entered", f"a {mount.fstype} mount is never entered")
        for mount in standing
        if mount.is_refused and mount.target != "/"
    ]
    starts = [_start(mount, path) for mount, path in unshown(chosen, standing) if mount.target != "/"]
    return Plan((Start("/"), *starts), points, tuple(gaps))


class MountMap:
    """Which mount a path is in."""

    def __init__(self, mounts: Sequence[Mount]) -> None:
        self._by_target = {mount.target: mount for mount in _standing(mounts)}

    def over(self, path: str) -> Mount | None:
        """Return the mount that a path without links is in; None if that is not known."""
        while path not in self._by_target and path != "/":
            path = os.path.dirname(path)
        return self._by_target.get(path)

    def nosuid(self, path: str) -> bool | None:
        """Return whether the path's mount ignores SUID, SGID and capabilities; None if that is not known."""
        mount = self.over(path)
        return None if mount is None else "nosuid" in mount.options


def _start(mount: Mount, path: str) -> Start:
    # The files of a btrfs subvolume have a device of their own, which mountinfo does not know.
    return Start(path, None if mount.fstype == "btrfs" else mount.device)


def _standing(mounts: Sequence[Mount]) -> Iterator[Mount]:
    """Yield the mounts that a path leads to: not those that another one covers, at their target or above it."""
    ids = {mount.id for mount in mounts}
    at = {(_parent(mount, ids), mount.target): mount for mount in mounts}
    for mount in mounts:
        if _resolve(mount.target, at) is mount:
            yield mount


def _parent(mount: Mount, ids: set[int]) -> int:
    return mount.parent if mount.parent in ids and mount.parent != mount.id else ROOT


def _resolve(path: str, at: dict[tuple[int, str], Mount]) -> Mount | None:
    """Return the mount that a path leads to, as the kernel goes: at each step onto whatever is mounted there."""
    found, here, parent = None, "", ROOT
    for name in ("/", *_names(path)):
        here = "/" if name == "/" else os.path.join(here, name)
        while (parent, here) in at:
            found = at[parent, here]
            parent = found.id
    return found


def _is_container_root(mount: Mount) -> bool:
    """Return whether an engine mounted this for a container.

    Docker, Podman and CRI-O name the folder `merged`, containerd and LXC `rootfs`. An overlay anywhere else
    (systemd-sysext puts one over /usr) is what the host itself runs from.
    """
    return mount.fstype == "overlay" and mount.target.endswith(("/merged", "/rootfs"))


def _containers_gap(roots: list[Mount]) -> Gap:
    folder = os.path.commonpath([os.path.dirname(mount.target) for mount in roots])
    detail = "roots of containers are not entered; their layers are swept where they lie"
    return path_gap(folder, "not_entered", detail, count=len(roots))


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]
