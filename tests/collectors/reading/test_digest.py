"""The digest of a file's content, of exactly the file that was seen, within a limit."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from collectors.reading.digest import sha256_of
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
