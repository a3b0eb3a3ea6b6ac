"""The signer is killed, its disk is full: what was answered as signed is there, and the next one goes on (O1, O2)."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.places import places
from agent.signing.asking import Door
from agent.signing.door import open_door
from agent.signing.remote import RemoteDoor
from evidence.errors import CommitError, EvidenceError
from tests.agent.signing.running import SEEN, collection, entries, is_open, signer


def signed(door: Door, rows: int) -> tuple[int, bytes] | None:
    """Return where a snapshot was signed, None if nobody said that it was."""
    with contextlib.suppress(EvidenceError):
        entry = door.snapshot([collection(rows)], SEEN, {})
        return entry.sequence, entry.leaf_hash
    return None


@pytest.mark.slow
@pytest.mark.needs_program("strace")
@pytest.mark.parametrize(
    ("call", "numbers"),
    [("fsync", (2, 4, 6)), ("rename,renameat,renameat2", (1, 3)), ("write,pwrite64", (2, 6))],
)
def test_a_kill_at_a_call_of_a_commit_loses_nothing_that_was_answered(
    tmp_path: Path, call: str, numbers: tuple[int, ...]
) -> None:
    state = tmp_path / "state"
    answered: list[tuple[int, bytes]] = []
    with open_door(places(str(state))) as door:
        door.snapshot([collection()], SEEN, {})
    for number in numbers:
        fault = f"inject={call}:signal=KILL:when={number}"
        before = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", fault]
        with signer(state, before=before) as started:
            found = signed(RemoteDoor(started.places, 0), number + 2)
        if found is not None:
            answered.append(found)
    assert len(answered) < len(numbers)  # else none of them was cut off
    with signer(state) as started, open_door(started.places) as door:
        entry = door.snapshot([collection(100)], SEEN, {})
    answered.append((entry.sequence, entry.leaf_hash))
    kinds = entries(state)
    assert all(kinds[sequence] == "snapshot" for sequence, _ in answered)
    assert len({sequence for sequence, _ in answered}) == len(answered)
    assert set(kinds) <= {"log-opened", "snapshot"}


def test_a_signer_that_is_killed_while_it_is_asked_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    state = tmp_path / "state"
    answered = []
    for pause in (0.0, 0.03):
        with signer(state) as started:
            door = RemoteDoor(started.places, 0)
            door.snapshot([collection()], SEEN, {})
            killer = threading.Timer(pause, started.process.kill)
            killer.start()
            while (found := signed(door, 3)) is not None:
                answered.append(found)
            killer.join()
    assert is_open(state)
    kinds = entries(state)
    assert all(kinds[sequence] == "snapshot" for sequence, _ in answered)
    assert len(kinds) <= 1 + 2 + len(answered) + 2  # at most one a time was signed whose answer was cut off


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a disk of its own with little room."""
    folder = tmp_path / "small"
    folder.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(path: Path) -> None:
    """Let nothing more fit on a disk."""
    with open(path, "ab", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass


@pytest.mark.needs_root
def test_on_a_full_disk_it_says_so_goes_on_and_signs_for_how_long(small: Path) -> None:
    state = small / "state"
    with signer(state) as started, open_door(started.places) as door:
        door.snapshot([collection()], SEEN, {})
        filler = small / "filler"
        fill(filler)
        with pytest.raises(CommitError, match="no space left"):
            door.snapshot([collection(2000)], SEEN, {})
        fill(filler)  # also the room that the store had kept for this day
        with pytest.raises(CommitError, match="no space left"):
            door.snapshot([collection(2001)], SEEN, {})
        assert any("is full" in line for line in door.news())
        assert started.process.poll() is None
        filler.unlink()
        door.snapshot([collection(2002)], SEEN, {})
        assert any("2 entries did not fit" in line for line in door.news())
    assert entries(state) == ["log-opened", "snapshot", "disk-full", "snapshot", "gap"]


def test_a_signer_that_nobody_asks_ends(tmp_path: Path) -> None:
    from agent.signing import listening  # noqa: PLC0415
    from agent.signing.notify import Notifier  # noqa: PLC0415
    from agent.signing.peer import Doorkeeper  # noqa: PLC0415
    from agent.signing.protocol import Done  # noqa: PLC0415
    from agent.signing.server import Server  # noqa: PLC0415

    listener = listening.bind(str(tmp_path / "run/sock"))
    server = Server(listener, Doorkeeper(os.geteuid()), lambda _request, _uid: Done(), dict, idle_s=0.1)
    begun = time.monotonic()
    server.run(Notifier({}), lambda _now: None)
    server.close()
    assert 0.1 <= time.monotonic() - begun < 5
