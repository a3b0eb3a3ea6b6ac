"""The mark of a log: it goes up with the size, and only the file that was made with the log is believed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence import mark
from evidence.errors import DamageError
from evidence.mark import Object
from evidence.state import Folder, open_state


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Folder]:
    folder = open_state(str(tmp_path / "log"), create=True)
    yield folder
    folder.close()


def test_a_mark_is_renamed_as_the_log_grows_and_is_still_the_same_file(log: Folder) -> None:
    for size in (1, 2, 12):
        mark.move(log, size)
        assert log.names() == [f"mark.{size:012d}"]
        assert mark.is_original(log, size)


def test_a_mark_never_goes_back(log: Folder) -> None:
    mark.move(log, 5)
    mark.move(log, 3)
    assert mark.sizes(log) == [5]


def test_what_a_killed_process_left_of_a_mark_is_no_mark_and_in_nobodys_way(log: Folder) -> None:
    Path(log.where(".mark.new")).write_bytes(b"1")
    assert mark.sizes(log) == []
    mark.move(log, 1)
    assert log.names() == ["mark.000000000001"]


def test_a_copy_of_a_mark_is_not_the_mark(log: Folder) -> None:
    mark.move(log, 1)
    shutil.copy2(log.where(mark.name_of(1)), log.where(mark.name_of(2)))
    assert mark.is_original(log, 1)
    assert not mark.is_original(log, 2)
    assert mark.sizes(log) == [1, 2]


@pytest.mark.parametrize("data", [b"", b"1 2\n", b"1 2 " + b"0" * 64 + b"\n"])
def test_a_mark_with_other_bytes_is_damaged(log: Folder, data: bytes) -> None:
    mark.move(log, 1)
    Path(log.where(mark.name_of(1))).write_bytes(data)
    with pytest.raises(DamageError, match="a line and its hash"):
        mark.is_original(log, 1)


def test_an_inode_that_was_given_out_again_is_another_object_where_the_file_system_counts() -> None:
    assert not Object(7, 1).is_same(Object(7, 2))
    assert Object(7, 1).is_same(Object(7, 1))
    assert Object(7, 0).is_same(Object(7, 2)), "not every file system tells"
    assert not Object(7, 0).is_same(Object(8, 0))


def test_the_file_system_of_a_state_is_asked_for_the_generation(log: Folder) -> None:
    """Made and removed in a row, files get the same inode on some file systems; their marks still differ."""
    lines = set()
    for _ in range(5):
        mark.move(log, 1)
        lines.add(Path(log.where(mark.name_of(1))).read_bytes())
        os.unlink(log.where(mark.name_of(1)))
    assert len(lines) == 5 or all(b" 0 " in each for each in lines), lines
