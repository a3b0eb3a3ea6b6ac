"""The file of a pack: whole or not there, and never over another one (faults.md, N13)."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from evidence.errors import PackError
from evidence.pack import export
from evidence.pack_target import Target
from tests.evidence.known import run
from tests.evidence.memory_store import MemoryStore
from tests.evidence.statements import users


def make(path: Path, data: bytes = b"pack", *, overwrite: bool = False) -> None:
    target = Target(str(path), overwrite=overwrite)
    try:
        target.write(data)
        target.commit()
    finally:
        target.close()


@pytest.fixture(params=["unnamed file", "named file", "named file without links", "no proc"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way a file system may offer: as ext4, as one without O_TMPFILE, as FAT; or no /proc."""
    real_open, real_link = os.open, os.link

    def no_unnamed(path: str, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "no unnamed files here")
        return real_open(path, flags, *rest, **more)

    def no_links(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    if request.param == "no proc":
        monkeypatch.setattr("evidence.pack_target._DESCRIPTORS", "/nowhere")
    elif request.param != "unnamed file":
        monkeypatch.setattr(os, "open", no_unnamed)
    monkeypatch.setattr(os, "link", no_links if "without" in request.param else real_link)
    return str(request.param)


@pytest.mark.usefixtures("kind")
def test_a_file_is_not_there_until_it_is_committed(tmp_path: Path) -> None:
    path = tmp_path / "pack"
    target = Target(str(path), overwrite=False)
    target.write(b"pa")
    target.write(b"ck")
    assert not path.exists()
    target.commit()
    target.close()
    assert path.read_bytes() == b"pack"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["pack"]


@pytest.mark.usefixtures("kind")
def test_what_was_not_committed_leaves_nothing(tmp_path: Path) -> None:
    target = Target(str(tmp_path / "pack"), overwrite=False)
    target.write(b"half")
    target.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("kind")
def test_an_existing_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "pack"
    path.write_bytes(b"mine")
    with pytest.raises(PackError, match="expected nothing there yet, found a file; choose another name"):
        make(path)
    assert path.read_bytes() == b"mine"
    assert os.listdir(tmp_path) == ["pack"]


@pytest.mark.usefixtures("kind")
def test_a_file_that_came_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "pack"
    target = Target(str(path), overwrite=False)
    target.write(b"pack")
    path.write_bytes(b"mine")
    with pytest.raises(PackError, match="expected nothing there yet"):
        target.commit()
    target.close()
    assert path.read_bytes() == b"mine"
    assert os.listdir(tmp_path) == ["pack"]


def test_overwriting_replaces_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "pack"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        make(path, b"new", overwrite=True)
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["pack"]


def test_a_link_or_folder_is_never_overwritten(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    link = tmp_path / "pack"
    link.symlink_to(victim)
    for overwrite in (False, True):
        with pytest.raises(PackError):
            make(link, overwrite=overwrite)
    with pytest.raises(PackError, match="a regular file to overwrite"):
        make(tmp_path, overwrite=True)
    assert victim.read_bytes() == b"mine"


def test_what_reads_back_otherwise_is_not_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pread", lambda _descriptor, _count, offset: b"" if offset else b"pac\0")
    with pytest.raises(PackError, match="the disk or stick is failing"):
        make(tmp_path / "pack")
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("kind")
def test_a_failed_sync_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output error"):
        make(tmp_path / "pack")
    assert os.listdir(tmp_path) == []


def test_a_kill_just_before_the_end_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Target, "_place", lambda _self: os.kill(os.getpid(), signal.SIGKILL))
    child = os.fork()
    if child == 0:
        make(tmp_path / "pack")
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert os.listdir(tmp_path) == []


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Any]:
    """Mount something small; a kernel that refuses (a container without the right) skips."""
    point = tmp_path / "mounted"
    point.mkdir()

    def mount(*command: str) -> Path:
        seen = run("mount", *command, str(point))
        if seen.returncode:
            pytest.skip("needs the right to mount this file system")
        return point

    yield mount
    run("umount", str(point))


@pytest.mark.needs_root
@pytest.mark.needs_program("mount", "umount")
def test_a_full_disk_leaves_nothing(mounted: Any) -> None:
    point = mounted("-t", "tmpfs", "-o", "size=64k", "tmpfs")
    with pytest.raises(OSError, match="No space left"):
        make(point / "pack", bytes(200_000))
    assert os.listdir(point) == []


@pytest.mark.needs_root
@pytest.mark.needs_program("mount", "umount")
def test_a_pack_that_does_not_fit_is_one_clear_error(mounted: Any) -> None:
    point = mounted("-t", "tmpfs", "-o", "size=64k", "tmpfs")
    made = MemoryStore()
    for day in range(1, 29):
        made.snapshot([users()], f"2026-01-{day:02d}T00:00:00.000Z")
    since, until = datetime(2026, 1, 1, tzinfo=timezone.utc), datetime(2026, 2, 1, tzinfo=timezone.utc)
    with pytest.raises(PackError, match="expected a file written whole, found no space left on device"):
        export(made, str(point / "pack"), since=since, until=until)
    assert os.listdir(point) == []


@pytest.mark.needs_root
@pytest.mark.needs_program("mount", "umount", "mkfs.vfat")
def test_a_stick_with_fat_gets_the_file_and_keeps_what_it_has(mounted: Any, tmp_path: Path) -> None:
    image = tmp_path / "stick"
    image.write_bytes(bytes(4 * 1024 * 1024))
    assert run("mkfs.vfat", str(image)).returncode == 0
    point = mounted("-o", "loop", str(image))
    make(point / "pack.tar.gz")
    assert (point / "pack.tar.gz").read_bytes() == b"pack"
    with pytest.raises(PackError, match="nothing there yet"):
        make(point / "pack.tar.gz", b"other")
    make(point / "pack.tar.gz", b"other", overwrite=True)
    assert os.listdir(point) == ["pack.tar.gz"]
    assert (point / "pack.tar.gz").read_bytes() == b"other"
