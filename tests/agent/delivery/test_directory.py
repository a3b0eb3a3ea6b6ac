"""A folder as a sink: full, removed, closed, FAT, and half of what was there before. Fault N13."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.delivery.results import Delivered, Held, Retry
from agent.delivery.sinks.directory import DirectorySink
from tests.agent.delivery.batches import Host, host


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return host(tmp_path_factory.mktemp("directory"))


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder


def put(sender: Host, stick: Path) -> object:
    with sender.opened() as batch:
        return DirectorySink("stick", str(stick)).deliver(batch)


def test_a_batch_is_there_whole_under_its_name_and_nothing_else_is(sender: Host, stick: Path) -> None:
    assert put(sender, stick) == Delivered()
    (name,) = sender.names()
    assert os.listdir(stick) == [name]
    assert (stick / name).read_bytes() == (sender.outbox / name).read_bytes()


def test_a_batch_that_is_there_is_not_written_again(sender: Host, stick: Path) -> None:
    put(sender, stick)
    (there,) = stick.iterdir()
    before = there.stat()
    assert put(sender, stick) == Delivered()
    assert there.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("half", [b"", b"\x00" * 4096, b"not a batch"])
def test_a_damaged_file_of_that_name_is_replaced(sender: Host, stick: Path, half: bytes) -> None:
    (name,) = sender.names()
    (stick / name).write_bytes(half)
    assert put(sender, stick) == Delivered()
    assert (stick / name).read_bytes() == (sender.outbox / name).read_bytes()


def test_a_batch_cut_short_is_replaced(sender: Host, stick: Path) -> None:
    (name,) = sender.names()
    (stick / name).write_bytes((sender.outbox / name).read_bytes()[:-200])
    assert put(sender, stick) == Delivered()
    assert (stick / name).read_bytes() == (sender.outbox / name).read_bytes()


def test_a_batch_without_rows_does_not_replace_the_one_that_has_them(tmp_path: Path, stick: Path) -> None:
    made = host(tmp_path)
    put(made, stick)
    (name,) = made.names()
    rich = (stick / name).read_bytes()
    with made.store() as store:
        store.write_batch(str(made.outbox), made.log_id, 0, size=2, with_blobs=False, overwrite=True)
    assert (made.outbox / name).read_bytes() != rich
    assert put(made, stick) == Delivered()
    assert (stick / name).read_bytes() == rich


def test_what_a_killed_attempt_left_is_removed(sender: Host, stick: Path) -> None:
    (name,) = sender.names()
    (stick / f".{name}.0123abcd.part").write_bytes(b"half")
    (stick / ".other.part").write_bytes(b"somebody else's")
    put(sender, stick)
    assert sorted(os.listdir(stick)) == [".other.part", name]


def test_a_stick_that_is_not_there_is_waited_for_and_never_made(sender: Host, stick: Path) -> None:
    stick.rmdir()
    result = put(sender, stick)
    assert isinstance(result, Retry)
    assert "plug in or mount" in result.reason
    assert not stick.exists()


def test_a_file_in_place_of_the_folder_is_waited_for(sender: Host, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert isinstance(put(sender, tmp_path / "file"), Retry)


@contextmanager
def mounted(*arguments: str, at: Path) -> Iterator[Path]:
    subprocess.run(["mount", *arguments, str(at)], check=True, capture_output=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True, capture_output=True)


@pytest.mark.needs_root
def test_a_full_stick_is_left_without_halves_and_taken_once_there_is_room(sender: Host, stick: Path) -> None:
    with mounted("-t", "tmpfs", "-o", "size=8k", "tmpfs", at=stick):
        (stick / "ballast").write_bytes(b"a" * 8192)
        result = put(sender, stick)
        assert isinstance(result, Retry)
        assert "make room" in result.reason
        assert os.listdir(stick) == ["ballast"]
        subprocess.run(["mount", "-o", "remount,size=1m", str(stick)], check=True)
        assert put(sender, stick) == Delivered()


@pytest.mark.needs_root
def test_a_stick_that_is_read_only_holds_the_sink(sender: Host, stick: Path) -> None:
    with mounted("-t", "tmpfs", "-o", "ro", "tmpfs", at=stick):
        result = put(sender, stick)
    assert isinstance(result, Held)
    assert "read-only" in result.reason


def test_a_fat_stick_is_as_good_as_any(sender: Host, stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAT knows neither files without a name nor hard links nor modes: this is how it says so."""
    really_open = os.open

    def fat_open(path: str, flags: int, *more: int, dir_fd: int | None = None) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return really_open(path, flags, *more, dir_fd=dir_fd)

    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "open", fat_open)
    for name in ("link", "fchown", "fchmod"):
        monkeypatch.setattr(os, name, refuse)
    (name,) = sender.names()
    assert put(sender, stick) == Delivered()
    assert os.listdir(stick) == [name]
    (stick / name).write_bytes(b"torn by a pulled plug")
    assert put(sender, stick) == Delivered()
    assert (stick / name).read_bytes() == (sender.outbox / name).read_bytes()


def test_a_folder_of_somebody_else_holds_the_sink(sender: Host, stick: Path) -> None:
    stick.chmod(0o500)
    with sender.opened() as batch:
        effective = os.geteuid()
        if effective == 0:
            stick.parent.chmod(0o755)
            os.chown(stick, 65534, 65534)
            os.seteuid(65534)
        try:
            result = DirectorySink("stick", str(stick)).deliver(batch)
        finally:
            os.seteuid(effective)
    assert isinstance(result, Held)
