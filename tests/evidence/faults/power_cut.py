"""A disk that forgets: what a power cut may leave of a run, by the rules that POSIX gives and no kinder ones.

The bytes of a file are safe when that file was synced, a name when its folder was. Anything else may be there, be
missing, or be torn, each by itself and in any order. The recorder notes every call that changes the disk; an image
is made of what was safe at some moment and of a choice among the rest.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

Names = dict[str, int]
Change = tuple[int, str, "int | None"]
"""A name in a folder that from now on leads to an inode, or to nothing."""


@dataclass(frozen=True)
class Moment:
    """The disk between two calls: what is safe, what is only in memory, and what was promised by then."""

    safe_names: dict[int, Names]
    safe_bytes: dict[int, bytes]
    changes: tuple[tuple[Change, ...], ...]
    """Since each folder was synced, in order; a rename changes two names in one step."""
    bytes_now: dict[int, bytes]
    promised: tuple[tuple[str, int, str], ...]


@dataclass
class Recorder:
    """What is known of the disk, call by call. Numbers are inodes; the files themselves stay open elsewhere."""

    root: int
    moments: list[Moment] = field(default_factory=list)
    promised: list[tuple[str, int, str]] = field(default_factory=list)
    _names: dict[int, Names] = field(default_factory=dict)
    _bytes: dict[int, bytes] = field(default_factory=dict)
    _changes: list[tuple[Change, ...]] = field(default_factory=list)
    _now: dict[int, bytes] = field(default_factory=dict)
    _held: list[int] = field(default_factory=list)
    """Files that were made, kept open so that no number is given out twice."""

    def made(self, descriptor: int) -> None:
        self._held.append(os.dup(descriptor))
        inode = os.fstat(descriptor).st_ino
        self._now[inode] = self._bytes[inode] = b""

    def close(self) -> None:
        for each in self._held:
            os.close(each)
        self._held.clear()

    def synced_tree(self, path: Path) -> None:
        """Take what is there as safe."""
        for folder, folders, files in os.walk(path):
            names = {each: os.stat(Path(folder, each)).st_ino for each in (*folders, *files)}
            self._names[os.stat(folder).st_ino] = names
            for each in files:
                self._bytes[names[each]] = self._now[names[each]] = Path(folder, each).read_bytes()

    def note(self) -> None:
        """Remember this moment."""
        self.moments.append(
            Moment(
                {each: dict(names) for each, names in self._names.items()},
                dict(self._bytes),
                tuple(self._changes),
                dict(self._now),
                tuple(self.promised),
            )
        )

    def change(self, *changes: Change) -> None:
        self._changes.append(changes)
        self.note()

    def wrote(self, descriptor: int) -> None:
        self._now[os.fstat(descriptor).st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()
        self.note()

    def synced(self, descriptor: int) -> None:
        facts = os.fstat(descriptor)
        if stat.S_ISDIR(facts.st_mode):
            names = self._names.setdefault(facts.st_ino, {})
            for step in self._changes:
                for folder, name, inode in step:
                    if folder == facts.st_ino:
                        _set(names, name, inode)
            kept = (tuple(each for each in step if each[0] != facts.st_ino) for step in self._changes)
            self._changes = [step for step in kept if step]
        else:
            content = Path(f"/proc/self/fd/{descriptor}").read_bytes()
            self._bytes[facts.st_ino] = self._now[facts.st_ino] = content
        self.note()


def _set(names: Names, name: str, inode: int | None) -> None:
    if inode is None:
        names.pop(name, None)
    else:
        names[name] = inode


@contextlib.contextmanager
def recording(state: Path) -> Iterator[Recorder]:
    """Record every change that this process makes below a state through the os module."""
    recorder = Recorder(os.stat(state.parent).st_ino)
    recorder.synced_tree(state.parent)
    recorder.note()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evidence.waiting.AT_ONCE", 1)  # calls are told apart by their order
        for name, made in _Calls(recorder).table().items():
            patch.setattr(os, name, made)
        yield recorder
    recorder.close()


class _Calls:
    """The functions of os that change a disk, each telling the recorder what it did."""

    def __init__(self, disk: Recorder) -> None:
        self._disk = disk
        self._real = {name: getattr(os, name) for name in self.table()}

    def table(self) -> dict[str, Callable[..., Any]]:
        """Return the functions by the name they replace."""
        names = ("open", "mkdir", "rename", "link", "unlink", "rmdir", "write", "fsync", "ftruncate")
        return {name: getattr(self, name) for name in names}

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        new = bool(flags & os.O_CREAT) and not _there(path, dir_fd)
        descriptor = int(self._real["open"](path, flags, mode, dir_fd=dir_fd))
        if new:
            self._disk.made(descriptor)
            self._disk.change((*_place(path, dir_fd), os.fstat(descriptor).st_ino))
        return descriptor

    def mkdir(self, path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self._real["mkdir"](path, mode, dir_fd=dir_fd)
        self._disk.change((*_place(path, dir_fd), _inode(path, dir_fd)))

    def rename(self, old: str, new: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        moved = _inode(old, src_dir_fd)
        self._real["rename"](old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        self._disk.change((*_place(old, src_dir_fd), None), (*_place(new, dst_dir_fd), moved))

    def link(self, old: str, new: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        self._real["link"](old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        self._disk.change((*_place(new, dst_dir_fd), _inode(new, dst_dir_fd)))

    def unlink(self, path: str, *, dir_fd: int | None = None) -> None:
        there = _there(path, dir_fd)
        self._real["unlink"](path, dir_fd=dir_fd)
        if there:
            self._disk.change((*_place(path, dir_fd), None))

    def rmdir(self, path: str, *, dir_fd: int | None = None) -> None:
        self._real["rmdir"](path, dir_fd=dir_fd)
        self._disk.change((*_place(path, dir_fd), None))

    def write(self, descriptor: int, data: Any) -> int:
        taken = int(self._real["write"](descriptor, data))
        self._disk.wrote(descriptor)
        return taken

    def ftruncate(self, descriptor: int, length: int) -> None:
        self._real["ftruncate"](descriptor, length)
        self._disk.wrote(descriptor)

    def fsync(self, descriptor: int) -> None:
        self._real["fsync"](descriptor)
        self._disk.synced(descriptor)


def _place(path: str, descriptor: int | None) -> tuple[int, str]:
    """Return the folder of a name and the name in it."""
    folder = os.fstat(descriptor) if descriptor is not None else os.stat(os.path.dirname(path) or ".")
    return folder.st_ino, os.path.basename(path)


def _inode(path: str, descriptor: int | None) -> int:
    return os.stat(path, dir_fd=descriptor, follow_symlinks=False).st_ino


def _there(path: str, descriptor: int | None) -> bool:
    try:
        os.stat(path, dir_fd=descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


Choice = Callable[[], bool]


def image(moment: Moment, root: int, place: Path, chance: random.Random, odds: float) -> None:
    """Make what a power cut leaves: each change that is not safe survives with these odds, bytes may be torn."""
    names = {each: dict(found) for each, found in moment.safe_names.items()}
    for step in moment.changes:
        if chance.random() < odds:
            for folder, name, inode in step:
                _set(names.setdefault(folder, {}), name, inode)
    content = {inode: _kept(moment, inode, chance, odds) for inode in {*moment.safe_bytes, *moment.bytes_now}}
    shutil.rmtree(place, ignore_errors=True)
    _build(place, root, names, content)


def _kept(moment: Moment, inode: int, chance: random.Random, odds: float) -> bytes:
    safe, now = moment.safe_bytes.get(inode, b""), moment.bytes_now.get(inode, b"")
    if safe == now or chance.random() < odds:
        return now
    torn = now[: chance.randrange(len(safe), len(now) + 1)] if len(now) > len(safe) else safe
    return chance.choice([safe, torn, torn + bytes(len(now) - len(torn))])


def _build(place: Path, folder: int, names: dict[int, Names], content: dict[int, bytes]) -> None:
    place.mkdir(mode=0o700)
    for name, inode in names.get(folder, {}).items():
        if name.startswith("index.sqlite"):
            continue  # SQLite writes it itself, unsynced: it may be gone
        if inode in content:
            (place / name).write_bytes(content[inode])
            (place / name).chmod(0o600)
        else:
            _build(place / name, inode, names, content)


def settled(moment: Moment) -> Moment:
    """Return the moment as everyone sees it who reads before the power goes."""
    names = {each: dict(found) for each, found in moment.safe_names.items()}
    for step in moment.changes:
        for folder, name, inode in step:
            _set(names.setdefault(folder, {}), name, inode)
    return replace(moment, safe_names=names, safe_bytes=moment.bytes_now, changes=())
