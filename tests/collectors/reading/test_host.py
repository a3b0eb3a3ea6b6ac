"""What a host promises besides being careful: pseudonyms, costs, and what was read."""

from __future__ import annotations

import gc
import hashlib
import hmac
import os
from pathlib import Path

import pytest

from collectors.reading.host import Host
from tests.collectors.reading.planting import Plant


def test_facts_and_bytes_are_those_of_the_file(host: Host, plant: Plant) -> None:
    real = plant("/file", "content")
    real.chmod(0o4750)
    os.utime(real, (5, 1_700_000_000))
    content, status = host.read("/file"), real.stat()
    assert (content.path, content.data, content.truncated) == ("/file", b"content", False)
    facts = content.facts
    assert (facts.kind, facts.mode, facts.mtime, facts.size_bytes, facts.links) == ("file", 0o4750, 1.7e9, 7, 1)
    assert (facts.uid, facts.gid, facts.device, facts.inode) == (
        status.st_uid,
        status.st_gid,
        status.st_dev,
        status.st_ino,
    )
    assert host.look("/file") == facts


@pytest.mark.parametrize("path", ["/a/file", "//a//file", "/./a/./file", "/a/../a/file", "/a/file/"])
def test_one_file_has_one_meaning_however_it_is_written(host: Host, plant: Plant, path: str) -> None:
    plant("/a/file", "x")
    assert host.read(path).data == b"x"


def test_cost_and_paths_read_for_content_are_counted_and_looks_are_not(host: Host, plant: Plant) -> None:
    plant("/a", "12345")
    plant("/b", "123")
    host.read("//a")
    host.read("/b", limit=2)
    host.look("/a")
    host.names("/")
    assert (host.cost.files, host.cost.bytes, host.opened) == (2, 7, ["/a", "/b"])


def test_a_pseudonym_is_an_hmac_that_needs_the_secret(root: Path) -> None:
    host, other = Host(str(root), secret=b"one"), Host(str(root), secret=b"two")
    assert host.pseudonym("me@home") == hmac.new(b"one", b"me@home", hashlib.sha256).hexdigest()
    assert host.pseudonym("me@home") != other.pseudonym("me@home")


def test_text_that_is_not_utf_8_has_a_pseudonym_of_its_own(host: Host) -> None:
    assert len({host.pseudonym(os.fsdecode(raw)) for raw in (b"\xff", b"\xfe", "\ufffd".encode())}) == 3


def test_a_root_that_is_not_there_is_an_error_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Host(str(tmp_path / "none"), secret=b"")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        Host(str(tmp_path / "file"), secret=b"")


def test_only_the_root_of_this_machine_is_live(tmp_path: Path) -> None:
    assert Host("/", secret=b"").live
    assert not Host(str(tmp_path), secret=b"").live


def test_a_host_that_is_gone_leaves_no_descriptor(tmp_path: Path) -> None:
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        Host(str(tmp_path), secret=b"").names("/")
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
