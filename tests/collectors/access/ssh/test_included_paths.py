from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest

from collectors.access.ssh.included_paths import included_paths, pattern_path
from collectors.reading.errors import ReadError
from collectors.reading.host import Host

NAMES = [
    "10-a.conf",
    "2-b.conf",
    "Z.conf",
    "a.conf",
    ".hidden.conf",
    "a.conf.dpkg-dist",
    "[x].conf",
    "é.conf",
    "b^.conf",
]
PATTERNS = [
    "*.conf",
    "*",
    "?.conf",
    "[a-z].conf",
    "[!a-z]*.conf",
    "[^0-9]*.conf",
    "[[]x].conf",
    ".h*",
    "a.conf",
    "none*",
    "[",
    "[]x]",
    "*/x",
    "[a-é].conf",
    "b[\\^].conf",
    "b[!^].conf",
    "*a*.*",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "etc/ssh/sshd_config.d"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / name).touch()
    return folder


def found(root: Path, pattern: str) -> list[str]:
    return list(included_paths(Host(str(root), secret=b""), pattern))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_same_files_are_found_as_by_glob(folder: Path, tmp_path: Path, pattern: str) -> None:
    theirs = sorted(
        os.path.join("/etc/ssh/sshd_config.d", each) for each in glob.glob(pattern.replace("[^", "[!"), root_dir=folder)
    )
    assert found(tmp_path, f"/etc/ssh/sshd_config.d/{pattern}") == theirs


def test_files_come_in_the_order_of_their_bytes(folder: Path, tmp_path: Path) -> None:
    (folder / os.fsdecode(b"\xff.conf")).touch()
    (folder / "\U0001f600.conf").touch()
    last = [os.path.basename(each) for each in found(tmp_path, "/etc/ssh/sshd_config.d/*.conf")][-3:]
    assert last == ["é.conf", "\U0001f600.conf", os.fsdecode(b"\xff.conf")]


@pytest.mark.usefixtures("folder")
def test_wildcards_may_stand_for_folders(tmp_path: Path) -> None:
    assert found(tmp_path, "/etc/*/sshd_config.d/a.conf") == ["/etc/ssh/sshd_config.d/a.conf"]


def test_a_backslash_takes_the_meaning_of_a_wildcard(folder: Path, tmp_path: Path) -> None:
    (folder / "*").touch()
    assert found(tmp_path, r"/etc/ssh/sshd_config.d/\*") == ["/etc/ssh/sshd_config.d/*"]


@pytest.mark.usefixtures("folder")
def test_a_relative_pattern_lies_below_etc_ssh_and_a_tilde_leads_nowhere(tmp_path: Path) -> None:
    assert pattern_path("x/*.conf") == "/etc/ssh/x/*.conf"
    assert found(tmp_path, pattern_path("sshd_config.d/Z.conf")) == ["/etc/ssh/sshd_config.d/Z.conf"]
    assert found(tmp_path, pattern_path("~/x")) == []


@pytest.mark.usefixtures("folder")
def test_nothing_found_is_no_error_and_a_file_is_no_folder(tmp_path: Path) -> None:
    assert found(tmp_path, "/nowhere/*.conf") == []
    assert found(tmp_path, "/etc/ssh/sshd_config.d/a.conf/*") == []


def test_a_link_to_nowhere_is_found_for_the_reader_to_report(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.conf").symlink_to("nowhere")
    assert "/etc/ssh/sshd_config.d/broken.conf" in found(tmp_path, "/etc/ssh/sshd_config.d/*.conf")


def test_a_loop_of_links_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/loop").symlink_to("loop")
    with pytest.raises(ReadError):
        found(tmp_path, "/etc/loop/*.conf")
