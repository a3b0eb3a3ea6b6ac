"""A database that others write is copied whole, in one state, or not at all."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from collectors.reading import copies
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.host import Host
from tests.collectors.reading.planting import Plant

SIDE = ("-wal", "-shm")


def test_the_copy_has_the_bytes_of_all_and_vanishes_afterwards(host: Host, plant: Plant) -> None:
    plant("/db", b"main")
    plant("/db-wal", b"log")
    with host.copied("/db", side=SIDE) as copy:
        folder = Path(copy).parent
        assert {each.name: each.read_bytes() for each in folder.iterdir()} == {"copy": b"main", "copy-wal": b"log"}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()
    assert (host.cost.files, host.cost.bytes, host.opened) == (1, 7, ["/db"])


def test_the_copy_vanishes_after_an_error_too(host: Host, plant: Plant) -> None:
    plant("/db", b"main")
    with pytest.raises(ZeroDivisionError), host.copied("/db") as copy:
        raise ZeroDivisionError
    assert not os.path.exists(os.path.dirname(copy))


def test_an_absent_database_is_absent(host: Host, plant: Plant) -> None:
    plant("/db-wal", b"an orphan")
    with pytest.raises(AbsentError), host.copied("/db", side=SIDE):
        pass


def test_what_is_larger_than_the_limit_with_its_side_files_is_not_copied(host: Host, plant: Plant) -> None:
    plant("/db", b"1234")
    plant("/db-wal", b"56")
    with host.copied("/db", side=SIDE, limit=6) as copy:
        assert Path(copy).read_bytes() == b"1234"
    with pytest.raises(ReadError, match="truncated"), host.copied("/db", side=SIDE, limit=5):
        pass


def test_a_sparse_terabyte_is_not_copied(host: Host, plant: Plant) -> None:
    os.truncate(plant("/db", b""), 1 << 40)
    with pytest.raises(ReadError, match="truncated"), host.copied("/db"):
        pass


@pytest.mark.parametrize("name", ["db", "db-wal"])
def test_a_link_out_of_the_root_is_not_copied_nor_a_fifo(host: Host, root: Path, plant: Plant, name: str) -> None:
    plant("/db", b"main")
    (root / name).unlink(missing_ok=True)
    (root / name).symlink_to("../outside")
    if name == "db":
        with pytest.raises(AbsentError), host.copied("/db", side=SIDE):
            pass
    (root / name).unlink()
    os.mkfifo(root / name)
    with pytest.raises(ReadError, match="not_regular"), host.copied("/db", side=SIDE):
        pass


def test_one_that_changes_once_is_copied_again(host: Host, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    real = plant("/db", b"old")
    whole = copies._pour

    def pour_then_change(*arguments: object) -> None:
        whole(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(copies, "_pour", whole)
        real.write_bytes(b"newer")

    monkeypatch.setattr(copies, "_pour", pour_then_change)
    with host.copied("/db") as copy:
        assert Path(copy).read_bytes() == b"newer"


def test_one_written_a_moment_ago_is_left_to_settle(host: Host, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = plant("/db", b"x").stat().st_ctime_ns
    monkeypatch.setattr("collectors.reading.copies.time.sleep", lambda _: None)
    monkeypatch.setattr("collectors.reading.copies.time.time_ns", lambda: changed + 1_000_000)
    with pytest.raises(ReadError, match="changed_while_read"), host.copied("/db"):
        pass
    monkeypatch.setattr("collectors.reading.copies.time.time_ns", lambda: changed + 51_000_000)
    with host.copied("/db") as copy:
        assert Path(copy).read_bytes() == b"x"


@pytest.mark.parametrize("change", ["grow", "side file comes", "side file goes", "vanish"])
def test_one_that_never_holds_still_is_a_gap(
    host: Host, plant: Plant, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    real = plant("/db", b"x")
    side = real.with_name("db-wal")
    whole = copies._pour

    def pour_and_change(*arguments: object) -> None:
        whole(*arguments)  # type: ignore[arg-type]
        if change == "grow":
            real.write_bytes(real.read_bytes() + b"x")
        elif side.exists():
            side.unlink()
        else:
            side.write_bytes(b"log")

    if change == "vanish":
        monkeypatch.setattr(copies, "_pour", lambda *_: real.unlink(missing_ok=True))
        with pytest.raises(AbsentError), host.copied("/db", side=SIDE):
            pass
        return
    if change == "side file goes":
        side.write_bytes(b"log")
    monkeypatch.setattr(copies, "_pour", pour_and_change)
    with pytest.raises(ReadError, match="changed_while_read"), host.copied("/db", side=SIDE):
        pass


def test_a_copy_of_a_database_under_write_is_always_sound(host: Host, root: Path) -> None:
    """A writer commits all the time; each copy that is given passes SQLite's own check."""
    stop = threading.Event()

    def write() -> None:
        with sqlite3.connect(root / "db", timeout=10) as base:
            base.execute("pragma journal_mode=wal")
            base.execute("create table t (n integer primary key, text)")
            while not stop.is_set():
                base.execute("insert into t (text) values (hex(randomblob(500)))")
                base.commit()
                stop.wait(0.1)
        base.close()

    writer = threading.Thread(target=write)
    writer.start()
    sound = 0
    try:
        for _ in range(10):
            sound += is_sound(host)
    finally:
        stop.set()
        writer.join()
    assert sound
    assert is_sound(host)


def is_sound(host: Host) -> bool:
    """Return whether a copy was given; the test fails if that copy is damaged."""
    try:
        with host.copied("/db", side=("-wal",)) as copy:
            base = sqlite3.connect(copy)
            try:
                assert base.execute("pragma integrity_check").fetchall() == [("ok",)]
            finally:
                base.close()
    except AbsentError:
        return False
    except ReadError as error:
        if error.reason != "changed_while_read":
            raise
        return False
    return True
