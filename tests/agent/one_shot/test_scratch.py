"""A folder for copies that is gone afterwards, whoever was killed."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest

from agent.one_shot import scratch as subject
from agent.one_shot.scratch import scratch


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where folders are to be made."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_temporary_folders_are_made_in_a_private_one_and_gone_afterwards(folder: Path) -> None:
    with scratch():
        made = Path(tempfile.mkdtemp())
        assert made.parent.parent == folder
        assert made.parent.stat().st_mode & 0o777 == 0o700
        (made / "copy").write_text("rows")
    assert not list(folder.iterdir())
    assert tempfile.tempdir is None or Path(tempfile.tempdir).parent != folder


def test_it_is_gone_after_an_error(folder: Path) -> None:
    with pytest.raises(FileExistsError), scratch():
        os.mkdir(tempfile.mkdtemp())
    assert not list(folder.iterdir())


def test_it_is_gone_after_a_kill_of_the_process_and_its_whole_group(folder: Path) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        with scratch():
            Path(tempfile.mkdtemp(), "copy").write_text("rows")
            os.killpg(0, signal.SIGKILL)
    os.close(writing)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    with open(reading, "rb") as file:  # its guard has it open, too
        assert file.read() == b""
    assert not list(folder.iterdir())


def test_it_is_gone_when_its_guard_was_killed(folder: Path) -> None:
    others = children()
    with scratch():
        [guard] = children() - others
        os.kill(guard, signal.SIGKILL)
    assert not list(folder.iterdir())


def test_signals_that_end_the_process_do_not_end_its_guard(folder: Path) -> None:
    others = children()
    with scratch():
        [guard] = children() - others
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(guard, each)
        assert list(folder.iterdir())
        assert guard in children()
    assert not list(folder.iterdir())


def test_where_no_folder_can_be_made_none_is_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(folder / "absent"))
    monkeypatch.setattr(subject, "FOLDERS", ())
    with scratch(), pytest.raises(NotADirectoryError):
        tempfile.mkdtemp()


def children() -> set[int]:
    """Return the children of this process; other tests may have left some."""
    return {int(each) for each in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}
