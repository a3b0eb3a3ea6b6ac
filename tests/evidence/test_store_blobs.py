"""Blobs: named by what they hold, and never handed out as anything else."""

from __future__ import annotations

import errno
import zlib
from pathlib import Path

import pytest

from evidence.blobs import MAX_BYTES, Blobs, digest, inflated
from evidence.errors import DamageError, LimitError
from evidence.state import Folder, open_state, staged


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return open_state(str(tmp_path / "blobs"), create=True)


def path_of(folder: Folder, name: str) -> Path:
    return Path(folder.path, name[:2], name)


@pytest.mark.parametrize("data", [b"", b"a", b'{"row":1}\n' * 10_000])
def test_a_blob_comes_back_from_its_name(folder: Folder, data: bytes) -> None:
    blobs = Blobs(folder)
    blobs.put({digest(data): data})
    assert Blobs(folder).get(digest(data)) == data
    assert zlib.decompress(path_of(folder, digest(data)).read_bytes()) == data


def test_a_blob_that_is_not_there_is_none_and_a_damaged_one_is_an_error(folder: Folder) -> None:
    blobs, name = Blobs(folder), digest(b"rows")
    assert blobs.get(name) is None
    blobs.put({name: b"rows"})
    path_of(folder, name).write_bytes(zlib.compress(b"other rows"))
    with pytest.raises(DamageError, match="the bytes its name is the hash of"):
        blobs.get(name)


def test_bytes_in_hand_heal_a_damaged_file_which_is_set_aside(folder: Folder) -> None:
    name, aside = digest(b"rows"), []
    Blobs(folder).put({name: b"rows"})
    path_of(folder, name).write_bytes(b"rot")
    blobs = Blobs(folder, lambda place, each: aside.append(place.read(each, 100)))
    blobs.put({name: b"rows"})
    assert aside == [b"rot"]
    assert blobs.get(name) == b"rows"


def test_a_small_file_that_unpacks_to_more_than_a_blob_may_have_is_damage() -> None:
    bomb = zlib.compress(bytes(1000))
    assert inflated(bomb, 1000) == bytes(1000)
    assert inflated(bomb, 999) is None
    assert inflated(bomb + b"more", 1000) is None
    assert inflated(bomb[:-1], 1000) is None


def test_a_blob_past_the_limit_is_refused_before_it_is_written(folder: Folder) -> None:
    data = bytes(MAX_BYTES + 1)
    with pytest.raises(LimitError, match="at most 67108864 bytes"):
        Blobs(folder).put({digest(data): data})
    assert folder.names() == []


def test_a_name_whose_folder_could_not_be_synced_is_made_again(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs, name = Blobs(folder), digest(b"rows")

    def refuse(self: Folder) -> None:
        if self.path.endswith(name[:2]):
            raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "sync", refuse)
        with pytest.raises(OSError, match="input/output"):
            blobs.put({name: b"rows"})
    before = path_of(folder, name).stat().st_ino
    blobs.put({name: b"rows"})
    assert path_of(folder, name).stat().st_ino != before


def test_what_a_killed_process_left_half_written_is_swept(folder: Folder) -> None:
    blobs, name = Blobs(folder), digest(b"rows")
    blobs.put({name: b"rows"})
    left = Path(folder.path, name[:2], staged(name))
    left.write_bytes(b"half")
    assert list(blobs.names()) == [name]
    blobs.sweep(name[:2])
    assert not left.exists()
    assert blobs.get(name) == b"rows"
