"""The signer's socket as systemd passes it on, what systemd is told, and acting as the state's own user."""

from __future__ import annotations

import os
import pwd
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent import users
from agent.observing import reads_everything
from agent.places import SYSTEM, Places, places, recording_places
from agent.signing import listening
from agent.signing.door import open_door
from agent.signing.local import LocalDoor
from agent.signing.notify import Notifier
from evidence.reader import StoreReader
from tests.agent.signing.running import SEEN, TOP, collection

UID = 4242


def test_a_socket_is_for_its_owner_only_and_takes_the_place_of_one_that_was_left(tmp_path: Path) -> None:
    path = tmp_path / "run/sign.sock"
    for _ in range(2):
        listening.bind(str(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_socket_of_systemd_is_taken_and_no_child_takes_it_again(tmp_path: Path) -> None:
    listener = listening.bind(str(tmp_path / "s"))
    program = (
        "import os\n"
        "from agent.signing.listening import passed\n"
        f"os.dup2({listener.fileno()}, 3)\n"
        "os.environ['LISTEN_PID'] = str(os.getpid())\n"
        "listener = passed(os.environ, None)\n"
        "print(listener.getsockname(), sorted(each for each in os.environ if each.startswith('LISTEN')),"
        " os.get_inheritable(listener.fileno()))"
    )
    with listener:
        ran = subprocess.run(
            [sys.executable, "-c", program],
            cwd=TOP,
            env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "sign"},
            pass_fds=(listener.fileno(),),
            capture_output=True,
            text=True,
            check=False,
        )
    assert (ran.stdout, ran.stderr) == (f"{tmp_path / 's'} [] False\n", "")


def test_sockets_of_another_process_are_not_ours(tmp_path: Path) -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    assert listening.passed(environment, None) is None
    assert environment == {}
    with pytest.raises(ValueError, match="one socket of systemd's, found 2"):
        listening.passed({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"}, None)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(ValueError, match="expected a socket"):
        listening.passed({}, descriptor)
    os.close(descriptor)
    with socket.socket(socket.AF_UNIX) as idle, pytest.raises(ValueError, match="that listens, found another"):
        listening.passed({}, idle.fileno())


def test_systemd_is_told_when_it_is_ready_alive_and_stopping(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "4000000"}
        notifier = Notifier(environment)
        assert environment == {}
        assert notifier.tick_s == 2
        notifier.ready()
        notifier.alive()
        notifier.stopping()
        assert [manager.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]
    notifier.alive()  # nobody listens any more


@pytest.mark.parametrize(
    "environment", [{"NOTIFY_SOCKET": "@nobody"}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}]
)
def test_without_a_watchdog_nothing_ticks(environment: dict[str, str]) -> None:
    notifier = Notifier(environment)
    assert notifier.tick_s is None
    notifier.ready()


def test_all_folders_of_a_state_of_ones_own_are_in_it() -> None:
    below = (f"/x/state/{each}" for each in ("outbox", "upload", "cache", "run"))
    assert places("/x/state") == Places("/x/state", *below)
    assert places("/var/lib/evidenced/") == SYSTEM
    assert SYSTEM.system
    assert recording_places("/x").state == "/x"


@pytest.mark.needs_root
def test_root_leaves_nothing_of_its_own_in_the_state_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LocalDoor(places(str(tmp_path / "other")), 1).snapshot([collection()], SEEN, {})
    # Python imports what it needs as it goes along, and its own folder may be closed to another user.
    account = pwd.struct_passwd((users.SIGNER, "x", UID, UID, "", "/", "/bin/false"))
    monkeypatch.setattr(pwd, "getpwnam", {users.SIGNER: account}.__getitem__)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == 0 and folder != Path("/") and folder.stat().st_mode & 0o001 == 0:
            folder.chmod(0o711)
    tmp_path.chmod(0o711)
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, UID, UID)
    with open_door(places(str(state))) as door:
        assert isinstance(door, LocalDoor)
        door.snapshot([collection()], SEEN, {})
        door.record("backup-run", {"job": "x", "result": "ok"})
    assert (os.geteuid(), os.getegid()) == (0, 0)
    owners = {(each.stat().st_uid, each.stat().st_gid) for each in (state, *state.rglob("*"))}
    assert owners == {(UID, UID)}
    with StoreReader(str(state)) as reader:
        assert reader.logs()[-1].size == 3


@pytest.mark.needs_root
def test_who_may_read_every_file_says_so_whatever_its_uid() -> None:
    assert reads_everything()
    for lost, expected in ((False, True), (True, False)):
        program = (
            "import ctypes, os, sys; from agent.observing import reads_everything\n"
            "libc = ctypes.CDLL(None)\n"
            f"libc.prctl(8, {int(not lost)}, 0, 0, 0)\n"  # PR_SET_KEEPCAPS
            "reads_everything()\n"  # Python imports a codec, and its own folder may be closed to that user
            "os.setresuid(4242, 4242, 4242)\n"
            "head = (ctypes.c_uint32 * 2)(0x20080522, 0)\n"
            f"data = (ctypes.c_uint32 * 6)({'0' if lost else '4'}, {'0' if lost else '4'}, 0, 0, 0, 0)\n"
            "assert libc.capset(head, data) == 0\n"
            "print(reads_everything())"
        )
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        ran = subprocess.run(
            [sys.executable, "-c", program], cwd=TOP, env=environment, capture_output=True, text=True, check=False
        )
        assert (ran.stdout, ran.stderr) == (f"{expected}\n", "")
