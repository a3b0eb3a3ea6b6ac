"""S8 and S9: a state folder that others could have touched is refused, and there is one writer."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from evidence.errors import BusyError, StateError, UnsafeStateError
from evidence.log import EvidenceStore
from evidence.reader import StoreReader
from evidence.state import Folder, open_state, write_all
from tests.evidence.store_parts import SEEN, table, ticking


def signed(path: Path) -> None:
    with EvidenceStore.open(str(path), machine=None, clock=ticking()) as store:
        store.append_snapshot([table()], SEEN)


def open_again(path: Path) -> None:
    with EvidenceStore.open(str(path), machine=None, clock=ticking(), wait_s=0):
        pass


def test_everything_is_for_the_owner_only(tmp_path: Path) -> None:
    state = tmp_path / "state"
    signed(state)
    for each in [state, *state.rglob("*")]:
        assert each.stat().st_mode & 0o077 == 0, each


@pytest.mark.parametrize("name", ["", "keys", "logs", "blobs", "quarantine"])
def test_a_folder_that_is_a_link_is_refused(tmp_path: Path, name: str) -> None:
    state = tmp_path / "state"
    signed(state)
    there = state / name if name else state
    there.rename(tmp_path / "elsewhere")
    there.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeStateError, match="no symbolic link, found one"):
        open_again(state)


@pytest.mark.parametrize("name", ["lock", "keys/agent.pem", "keys/identity.json", "keys/secret", "index.sqlite"])
def test_a_file_that_is_a_link_is_refused(tmp_path: Path, name: str) -> None:
    state = tmp_path / "state"
    signed(state)
    (state / name).rename(tmp_path / "elsewhere")
    (state / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeStateError, match="no symbolic link, found one"):
        open_again(state)


@pytest.mark.parametrize(
    ("name", "mode"), [("", 0o755), ("", 0o770), ("keys", 0o702), ("keys/agent.pem", 0o640), ("keys/secret", 0o604)]
)
def test_a_mode_that_lets_others_in_is_refused_with_the_command_that_mends_it(
    tmp_path: Path, name: str, mode: int
) -> None:
    state = tmp_path / "state"
    signed(state)
    (state / name).chmod(mode)
    with pytest.raises(UnsafeStateError, match=f"found {mode:04o}; .*then: chmod 0[0-7]00"):
        open_again(state)


@pytest.mark.needs_root
@pytest.mark.parametrize("name", ["", "logs", "keys/agent.pem"])
def test_what_belongs_to_someone_else_is_refused(tmp_path: Path, name: str) -> None:
    state = tmp_path / "state"
    signed(state)
    os.chown(state / name, 4321, -1)
    with pytest.raises(UnsafeStateError, match="user 0, found user 4321; run as its owner"):
        open_again(state)


def owned(state: Path, user: int) -> None:
    for each in [state, *state.rglob("*")]:
        os.chown(each, user, -1)


@pytest.mark.needs_root
def test_root_reads_a_state_that_belongs_to_another_user_and_does_not_write_to_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    signed(state)
    owned(state, 4321)
    before = {each: each.stat().st_mtime_ns for each in state.rglob("*")}
    with EvidenceStore.read(str(state)) as reader:
        (log,) = reader.logs()
        assert len(list(reader.entries(log.id))) == log.size == 2
        assert reader.secret() is not None
        assert reader.receipt(log.id) is None
    with pytest.raises(UnsafeStateError, match="a folder of user 0, found user 4321; run as its owner"):
        open_again(state)
    assert {each: each.stat().st_mtime_ns for each in state.rglob("*")} == before


def all_of(reader: StoreReader) -> None:
    reader.logs()
    reader.secret()
    reader.blob("0" * 64)


@pytest.mark.needs_root
@pytest.mark.parametrize("name", ["logs", "keys", "keys/secret", "blobs"])
@pytest.mark.parametrize("other", [0, 99])
def test_root_does_not_read_a_state_of_several_users(tmp_path: Path, name: str, other: int) -> None:
    state = tmp_path / "state"
    signed(state)
    owned(state, 4321)
    os.chown(state / name, other, -1)
    with EvidenceStore.read(str(state)) as reader, pytest.raises(UnsafeStateError, match=f"4321, found user {other};"):
        all_of(reader)


@pytest.mark.needs_root
def test_root_does_not_read_a_state_below_a_folder_of_a_third_user(tmp_path: Path) -> None:
    state = tmp_path / "theirs" / "state"
    signed(state)
    owned(state, 4321)
    os.chown(tmp_path / "theirs", 99, -1)
    with pytest.raises(UnsafeStateError, match="a folder of root or user 4321, found user 99"):
        EvidenceStore.read(str(state))


@pytest.mark.needs_root
def test_another_user_does_not_read_a_state_that_is_not_his(tmp_path: Path) -> None:
    state = tmp_path / "state"
    signed(state)
    tmp_path.chmod(0o755)
    child = os.fork()
    if not child:  # pragma: no cover  the verdict is its status
        os.setresuid(4321, 4321, 4321)
        try:
            EvidenceStore.read(str(state))
        except StateError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_state_below_a_folder_that_everyone_may_write_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(UnsafeStateError, match="a folder not writable by everyone"):
        signed(shared / "state")
    shared.chmod(0o1777)
    signed(shared / "state")


def test_a_file_in_place_of_the_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StateError, match="a folder, found something else"):
        open_again(tmp_path / "state")


def test_a_reader_finds_no_state_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="expected a state folder, found none; sign something first"):
        EvidenceStore.read(str(tmp_path / "state"))
    assert list(tmp_path.iterdir()) == []


def test_a_second_writer_waits_and_is_told_who_writes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with EvidenceStore.open(str(state), machine=None, clock=ticking()):
        begun = time.monotonic()
        with (
            pytest.raises(BusyError, match=f"only writer within 0.3 s, found process {os.getpid()} writing"),
            EvidenceStore.open(str(state), machine=None, clock=ticking(), wait_s=0.3),
        ):
            pass
        assert 0.3 <= time.monotonic() - begun < 3
    open_again(state)


def test_the_lock_of_a_killed_writer_is_free(tmp_path: Path) -> None:
    state = tmp_path / "state"
    signed(state)
    program = f"import fcntl, os; f = open({str(state / 'lock')!r}); fcntl.flock(f, 2); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", program], check=False)
    open_again(state)


def test_a_lock_file_that_was_removed_does_not_let_two_write(tmp_path: Path) -> None:
    state = tmp_path / "state"
    signed(state)
    (state / "lock").unlink()
    with EvidenceStore.open(str(state), machine=None, clock=ticking()), pytest.raises(BusyError):
        open_again(state)


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, whole = open_state(str(tmp_path / "state"), create=True), os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: whole(descriptor, bytes(data[:3])))
    folder.replace("file", b"0123456789")
    assert folder.read("file", 100) == b"0123456789"


def test_a_device_that_takes_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda _descriptor, _data: 0)
    with pytest.raises(OSError, match="took no byte"):
        write_all(-1, b"data")


def test_a_failed_replacement_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = open_state(str(tmp_path / "state"), create=True)
    folder.replace("file", b"old")

    def refuse(*_: object, **__: object) -> None:
        raise OSError("refused")

    for name in ("write", "fsync", "rename"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, refuse)
            with pytest.raises(OSError, match="refused"):
                folder.replace("file", b"new")
        assert folder.names() == ["file"]
        assert Folder.read(folder, "file", 10) == b"old"


def test_a_folder_that_cannot_be_listed_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel was asked by a number, which no message could make a name of."""

    def broken(descriptor: int) -> list[str]:
        raise OSError(errno.EIO, os.strerror(errno.EIO), descriptor)

    with closing(open_state(str(tmp_path / "state"), create=True)) as folder:
        monkeypatch.setattr(os, "listdir", broken)
        with pytest.raises(OSError, match="Input/output error") as error:
            folder.names()
        assert os.fsdecode(error.value.filename) == str(tmp_path / "state")
