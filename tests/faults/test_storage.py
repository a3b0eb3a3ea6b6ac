"""Rows S4 to S13 with the whole daemon: its disk, its folders, its processes, and two of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evidence.predicates import Event
from evidence.reader import StoreReader
from tests.evidence.faults.injection import adopt
from tests.faults.oracles import (
    assert_bounded,
    assert_delivered,
    assert_kept,
    assert_recorded,
    assert_runs_again,
    batches,
    kinds_of,
    leaves_at,
    leaves_of_agent,
)
from tests.faults.system import System, running, until
from tests.hub.running import RunningHub

STORE = ("keys", "logs", "blobs", "quarantine")
"""What /var/lib/evidenced holds where every part has a folder of its own."""


@contextlib.contextmanager
def disk(place: Path, options: str) -> Iterator[Path]:
    """Give a file system of its own at a place."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@contextlib.contextmanager
def injected(pids: list[int], calls: str, fault: str) -> Iterator[None]:
    """Have calls of running processes, and of their children from now on, go wrong."""
    words = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}"]
    words += [word for pid in pids for word in ("-p", str(pid))]
    tracer = subprocess.Popen(words, stderr=subprocess.PIPE)
    try:
        until(lambda: all("TracerPid:\t0" not in Path(f"/proc/{pid}/status").read_text() for pid in pids), 5)
        yield
    finally:
        tracer.terminate()
        tracer.communicate(timeout=10)


def fill(place: Path) -> int:
    """Let nothing more fit on a disk, and return how many bytes still did."""
    with (place / "filler").open("ab", buffering=0) as file:
        before = file.tell()
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass
        return file.tell() - before


def runs_begun(system: System, seconds: float) -> int:
    """Return how many runs of `_collect` were begun in so many seconds."""
    found: set[int] = set()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found |= {pid for pid in system.pids("_collect") if _parent(pid) == system.process.pid}
        time.sleep(0.05)
    return len(found)


def _parent(pid: int) -> int:
    """Return whose child a process is; 0 if it is gone."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


@pytest.mark.slow
@pytest.mark.needs_root
def test_s4_a_full_disk_pauses_reading_without_a_storm_is_recorded_and_is_over_by_itself(
    system: System, tmp_path: Path
) -> None:
    system.plan("table\tusers\t1\t1\tfile", "table\tgroups\t1\t1\tfile")
    with disk(tmp_path / "disk", "size=8m") as place:
        system.state = place / "state"
        with running(system):
            (supervisor,) = system.pids("supervisor")
            for _ in range(4):  # also the room that the store keeps for this day
                fill(place)
                system.record(0)
            assert system.record(0) is None
            assert runs_begun(system, 12) <= 6  # each second it would be read
            assert system.pids("supervisor") == [supervisor]
            (place / "filler").unlink()
            system.recorded()
            until(lambda: system.status().held_s is None, what="reading to go on")
            assert_recorded(system, ["disk-full", "gap"])
            assert_runs_again(system)
            assert_bounded(system)


@pytest.mark.slow
@pytest.mark.needs_root
def test_s10_without_inodes_nothing_is_promised_and_it_goes_on_when_there_are_some(
    system: System, tmp_path: Path
) -> None:
    with disk(tmp_path / "disk", "size=16m,nr_inodes=400") as place:
        system.state = place / "state"
        with running(system):
            made = 0
            with contextlib.suppress(OSError):
                while True:
                    (place / f"filler{made}").touch()
                    made += 1
            for _ in range(5):
                system.record(0)  # what is refused is not promised
            for number in range(made):
                (place / f"filler{number}").unlink()
            assert_runs_again(system)


SCARCE = {
    "no processes": ("supervisor", "clone,clone3,fork,vfork", "error=EAGAIN"),
    "no descriptors for the supervisor": ("supervisor", "pipe2,openat", "error=EMFILE"),
    "no descriptors for the signer": ("_sign", "accept4,openat", "error=EMFILE"),
    "no memory for the signer": ("_sign", "mmap,brk", "error=ENOMEM"),
}


@pytest.mark.slow
@pytest.mark.needs_program("strace")
def test_s10_without_processes_descriptors_or_memory_it_waits_and_goes_on(system: System) -> None:
    with running(system):
        supervisor = system.pids("supervisor")
        for part, calls, fault in SCARCE.values():
            system.recorded()
            pids = system.pids(part)
            before = sum(map(cpu_s, pids))
            with injected(pids, calls, fault):
                threading.Thread(target=system.record, args=(0,), daemon=True).start()
                time.sleep(4)
            assert sum(map(cpu_s, pids)) - before < 2  # it does not spin
        assert system.pids("supervisor") == supervisor
        assert_runs_again(system)


def cpu_s(pid: int) -> float:
    """Return the processor time of a process, 0 if it is gone."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


@pytest.mark.slow
@pytest.mark.needs_program("strace")
def test_s11_on_a_disk_that_takes_its_time_readings_do_not_pile_up_and_the_watchdog_is_fed(
    system: System, tmp_path: Path
) -> None:
    """An fsync of half a second where a table is read each second: as 5 s are to a quarter of a minute."""
    told = _Watchdog(tmp_path / "notify")
    system.environment = {"NOTIFY_SOCKET": str(told.path), "WATCHDOG_USEC": "3000000"}
    system.plan("table\tusers\t1\t1\tfile", "table\tgroups\t1\t1\tfile")
    with running(system):
        with injected(system.pids("_sign"), "fsync,fdatasync", "delay_exit=500000"):
            most, ends = 0, time.monotonic() + 10
            while time.monotonic() < ends:
                most = max(most, len(system.pids("_collect")))
                time.sleep(0.05)
            assert most <= 2  # a run, and the child that it forks to read a table
        assert told.longest() < 3
        assert_runs_again(system)
    told.close()


class _Watchdog:
    """What systemd hears from the service."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._times: list[float] = []
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def _hear(self) -> None:
        while (text := self._socket.recv(4096)) != b"end":
            if b"WATCHDOG=1" in text:
                self._times.append(time.monotonic())

    def longest(self) -> float:
        """Return the longest time between two signs of life."""
        return max(later - earlier for earlier, later in zip(self._times, self._times[1:], strict=False))

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.sendto(b"end", str(self.path))
        self._thread.join(5)
        self._socket.close()


def put_back(system: System, image: Path) -> None:
    """Put the state back to an older image of its disk, on which every file has the inode it had."""
    for name in STORE:
        shutil.rmtree(system.state / name)
        shutil.copytree(image / name, system.state / name)
    adopt(system.state)


@pytest.mark.slow
def test_s6_a_state_from_an_old_image_goes_on_in_a_new_epoch_that_names_what_the_hub_has(
    connected: System, hub: RunningHub, tmp_path: Path
) -> None:
    system, image = connected, tmp_path / "image"
    with running(system):
        assert_delivered(system, hub)
        assert system.stop() == 0
        shutil.copytree(system.state, image)
        kept = leaves_of_agent(system)
        system.start()
        for _ in range(3):
            system.recorded()
        assert_delivered(system, hub)
        known = leaves_at(hub)
        (log_id,) = known
        assert len(known[log_id]) > len(kept[log_id])
        system.kill_all()
        put_back(system, image)
        system.promised.clear()  # what was signed since is with the hub alone
        system.start()
        system.recorded()
        assert_delivered(system, hub, beside=known)
        assert leaves_at(hub)[log_id] == known[log_id]  # never a fork
        assert kinds_of(system.state)["log-opened"] == 2
        event = opening(system)
        assert (event["why"], event["previous"]["size"]) == ("restored", len(known[log_id]) // 32)
        assert_kept(system)


def opening(system: System) -> dict[str, Any]:
    """Return what the first entry of the newest log says."""
    with StoreReader(str(system.state)) as reader:
        said = reader.entry(reader.logs()[-1].id, 0).statement
    assert isinstance(said, Event)
    return said.predicate.event


@pytest.mark.slow
@pytest.mark.needs_root
@pytest.mark.needs_program("unshare")
def test_s7_a_clone_makes_a_key_of_its_own_and_names_the_log_it_came_from(
    connected: System, hub: RunningHub, tmp_path: Path
) -> None:
    other_id = tmp_path / "machine-id"
    other_id.write_text("feedfacefeedfacefeedfacefeedface\n")
    with running(connected):
        assert_delivered(connected, hub)
        assert connected.stop() == 0
        shutil.copytree(connected.folder, tmp_path / "clone")
        adopt(tmp_path / "clone/state")
        mount = 'mount --bind "$0" /etc/machine-id && exec "$@"'
        clone = System(tmp_path / "clone", before=("unshare", "--mount", "sh", "-c", mount, str(other_id)))
        connected.start()
        with running(clone):
            mine, theirs = connected.recorded(), clone.recorded()
            assert mine.origin.split("/")[1] != theirs.origin.split("/")[1]  # the key's fingerprint
            event = opening(clone)
            assert (event["why"], event["previous"]["origin"]) == ("cloned", mine.origin)
            assert connected.stop() == 0
            assert_delivered(clone, hub, beside=logs_of_others(hub, clone))
            assert clone.stop() == 0
            connected.start()
            assert_delivered(connected, hub, beside=logs_of_others(hub, connected))
            assert_kept(clone)
        assert_kept(connected)


def logs_of_others(hub: RunningHub, system: System) -> set[str]:
    """Return the logs that the hub has and that this host's key has not signed."""
    key = system.promised[-1][0].split("/")[1]
    return {log_id for log_id in leaves_at(hub) if not log_id.startswith(key)}


@pytest.mark.slow
def test_s8_a_state_that_is_deleted_while_it_runs_begins_anew_and_no_number_is_used_twice(
    connected: System, hub: RunningHub
) -> None:
    system = connected
    with running(system):
        assert_delivered(system, hub)
        known = leaves_at(hub)
        before = {origin for origin, _, _ in system.promised}
        for name in STORE:
            shutil.rmtree(system.state / name)
        system.promised.clear()
        system.signal("_sign", signal.SIGKILL)  # else it ends by itself, 20 s after it was last asked
        assert system.recorded().origin not in before
        assert_delivered(system, hub, beside=known)
        assert_runs_again(system)


@pytest.mark.parametrize("unsafe", ["mode", "link"])
def test_s8_an_unsafe_state_is_refused_in_words_and_taken_again_when_it_is_safe(system: System, unsafe: str) -> None:
    with running(system):
        assert system.stop() == 0
        keys, aside = system.state / "keys", system.folder / "aside"
        if unsafe == "mode":
            keys.chmod(0o777)
        else:
            keys.rename(aside)
            keys.symlink_to(aside)
        before = kinds_of_files(system)
        system.start()
        until(lambda: "keys: expected" in system.said(), what="a word of what is wrong")
        assert system.record(0) is None
        assert kinds_of_files(system) == before
        if unsafe == "mode":
            keys.chmod(0o700)
        else:
            keys.unlink()
            aside.rename(keys)
        assert_runs_again(system)


def kinds_of_files(system: System) -> dict[str, bytes]:
    """Return the digest of each file of the log."""
    files = (each for each in (system.state / "logs").rglob("*") if each.is_file())
    return {str(each): hashlib.sha256(each.read_bytes()).digest() for each in files}


def test_s9_a_second_daemon_ends_with_an_error_and_does_the_first_no_harm(system: System) -> None:
    with running(system):
        second = system.command("run", "--config", str(system.config), "--plan", str(system.folder / "plan"))
        assert second.returncode == 3
        assert "expected no other supervisor" in second.stderr
        assert_runs_again(system)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["supervisor", "_sign", "_collect"])
def test_s12_with_any_part_stopped_sigterm_ends_it_in_time_and_half_a_message_is_none(
    system: System, part: str
) -> None:
    system.plan("table\tusers\t1\t1\tfile", "table\tgroups\t1\t1\tfile")
    with running(system):
        until(lambda: system.signal(part, signal.SIGSTOP))
        began = time.monotonic()
        system.signal("supervisor", signal.SIGTERM)
        if part == "supervisor":
            system.signal(part, signal.SIGCONT)
        system.process.wait(15)
        assert time.monotonic() - began < 12  # 10 s, and what two busy processors take
        for pid in system.pids():
            os.kill(pid, signal.SIGKILL)
        system.start()
        assert_runs_again(system)


@pytest.mark.slow
def test_s12_a_sighup_every_moment_is_followed_and_nothing_is_lost(system: System) -> None:
    with running(system):
        supervisor = system.pids("supervisor")
        for number in range(40):
            if number % 10 == 0:
                system.plan(digest=f"{number:02x}" * 32)
            system.signal("supervisor", signal.SIGHUP)
            time.sleep(0.05)
        assert system.pids("supervisor") == supervisor
        system.recorded()
        until(lambda: kinds_of(system.state)["config-changed"] >= 1, what="the last plan on record")
        assert_runs_again(system)


@pytest.mark.slow
def test_s13_after_an_upgrade_and_a_downgrade_with_a_full_spool_nothing_is_written_and_nothing_lost(
    connected: System, hub: RunningHub
) -> None:
    system = connected
    hub.kill()
    with running(system):
        until(lambda: batches(system), what="a batch that waits")
        assert system.stop() == 0
        identity = system.state / "keys/identity.json"
        ours = identity.read_bytes()
        line = json.dumps({**json.loads(ours.split(b"\n")[0]), "format": 2, "unheard-of": True}).encode()
        identity.write_bytes(line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n")
        before = kinds_of_files(system)
        system.start()
        until(lambda: "expected state of format 1, found format 2" in system.said(), what="a clear word")
        assert system.record(0) is None
        assert kinds_of_files(system) == before
        assert batches(system)
        assert system.stop() == 0
        identity.write_bytes(ours)
        hub.start()
        system.start()
        assert_delivered(system, hub)
        assert_runs_again(system)


def test_an_edit_of_the_configuration_counts_when_it_was_reloaded_and_signed(system: System, tmp_path: Path) -> None:
    """The plan, the signer and the uploader work by one configuration: the one whose digest is in the log."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    system.config.write_text('[schedule]\njitter = "0s"\n[tables.users]\ninterval = "1h"\n')
    system.sink("directory", name="first", path=str(first))
    with running(system, planned=False):
        until(lambda: kinds_of(system.state)["agent-started"] == 1)
        system.sink("directory", name="second", path=str(second))
        system.recorded()
        until(lambda: list(first.iterdir()), 60, "a batch in the first folder")
        assert not list(second.iterdir())
        assert b"new" not in b"".join(
            each.read_bytes() for each in (system.state / "logs").rglob("*") if each.is_file()
        )
        system.signal("supervisor", signal.SIGHUP)
        until(lambda: kinds_of(system.state)["config-changed"] == 1)
        system.recorded()
        until(lambda: list(second.iterdir()), 60, "a batch in the second folder, though no table is due")
