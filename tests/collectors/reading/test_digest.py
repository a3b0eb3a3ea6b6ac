"""The digest of a file's content, of exactly the file that was seen, within a limit."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from collectors.reading.digest import Digester, Spending, sha256_of
from collectors.reading.errors import ReadError
from collectors.reading.host import Host
from tests.collectors.reading.planting import Plant


def test_the_digest_is_that_of_the_bytes_and_the_cost_is_noted(host: Host, plant: Plant) -> None:
    data = os.urandom(3 << 20)
    plant("/big", data)
    assert sha256_of(host, "/big", host.look("/big")) == hashlib.sha256(data).hexdigest()
    assert (host.cost.files, host.cost.bytes, host.opened) == (1, len(data), ["/big"])


def test_an_empty_file_has_a_digest(host: Host, plant: Plant) -> None:
    plant("/empty", b"")
    assert sha256_of(host, "/empty", host.look("/empty")) == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("swap", ["file", "link", "fifo"])
def test_another_file_at_the_path_is_refused(host: Host, plant: Plant, root: Path, swap: str) -> None:
    plant("/su", b"first")
    plant("/other", b"other")
    seen = host.look("/su")
    if swap == "file":
        os.rename(root / "other", root / "su")
    else:
        os.unlink(root / "su")
        os.mkfifo(root / "su") if swap == "fifo" else os.symlink("other", root / "su")
    with pytest.raises(ReadError) as caught:
        sha256_of(host, "/su", seen)
    assert caught.value.reason in {"changed_while_read", "link_refused", "not_regular"}


def test_no_link_is_followed_on_the_way(host: Host, plant: Plant, root: Path) -> None:
    plant("/real/su", b"su")
    (root / "way").symlink_to("real")
    with pytest.raises(ReadError, match="link_refused"):
        sha256_of(host, "/way/su", host.look("/real/su"))


def test_a_file_past_the_limit_has_no_digest(host: Host, plant: Plant, root: Path) -> None:
    plant("/sparse", b"")
    os.truncate(root / "sparse", 1 << 40)
    with pytest.raises(ReadError, match="truncated: expected at most 100 bytes"):
        sha256_of(host, "/sparse", host.look("/sparse"), limit=100)
    with pytest.raises(ReadError, match="truncated: expected at most 4294967296 bytes"):
        sha256_of(host, "/sparse", host.look("/sparse"))
    assert (host.cost.bytes, host.opened) == (0, [])


def test_an_inode_is_read_once_whatever_names_it_has(host: Host, plant: Plant, root: Path) -> None:
    plant("/0", b"once")
    for number in range(1, 4):
        os.link(root / "0", root / str(number))
    digester = Digester(host)
    found = {digester.sha256(f"/{number}", host.look(f"/{number}")) for number in range(4)}
    assert found == {hashlib.sha256(b"once").hexdigest()}
    assert (host.cost.bytes, host.opened) == (4, ["/0"])


def test_a_file_that_changed_between_two_of_its_names_is_read_again(host: Host, plant: Plant, root: Path) -> None:
    plant("/a", b"first")
    os.link(root / "a", root / "b")
    digester = Digester(host)
    digester.sha256("/a", host.look("/a"))
    plant("/a", b"other")
    os.utime(root / "a", (1, 1))
    assert digester.sha256("/b", host.look("/b")) == hashlib.sha256(b"other").hexdigest()


@pytest.mark.parametrize("spending", [Spending(cpu_s=-1), Spending(wall_s=-1), Spending(bytes=3)])
def test_what_is_more_than_may_be_spent_is_not_read(host: Host, plant: Plant, spending: Spending) -> None:
    plant("/su", b"four")
    with pytest.raises(ReadError, match="truncated"):
        Digester(host, spending).sha256("/su", host.look("/su"))
    assert host.cost.bytes == 0


def test_time_that_runs_out_in_the_middle_of_a_file_ends_the_reading_of_it(
    host: Host, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant("/big", bytes(3 << 20))
    digester = Digester(host, Spending(cpu_s=100))
    clock = iter([0.0, time.process_time(), time.process_time() + 1000])
    monkeypatch.setattr("collectors.reading.digest.time.process_time", lambda: next(clock))
    with pytest.raises(ReadError, match="truncated: the time for digests is used up"):
        digester.sha256("/big", host.look("/big"))
    assert digester.left == Spending().bytes - (2 << 20)


def test_no_more_than_a_quarter_of_the_processor_time_that_the_kernel_leaves_us_is_spent(
    host: Host, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant("/su", b"su")
    monkeypatch.setattr("collectors.reading.digest.resource.getrlimit", lambda _: (0, 0))
    with pytest.raises(ReadError, match="truncated: the time for digests is used up"):
        Digester(host).sha256("/su", host.look("/su"))


def test_a_file_that_is_written_meanwhile_is_refused(
    host: Host, plant: Plant, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant("/log", b"first")
    seen, readv = host.look("/log"), os.readv

    def growing(fd: int, buffers: list[memoryview]) -> int:
        got = readv(fd, buffers)
        with open(root / "log", "ab") as file:
            file.write(b"more")
        return got

    monkeypatch.setattr(os, "readv", growing)
    with pytest.raises(ReadError, match=r"changed_while_read|truncated"):
        sha256_of(host, "/log", seen, limit=1000)
