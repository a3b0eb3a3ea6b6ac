from __future__ import annotations

import glob
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.access.ssh.effective import effective_settings
from collectors.access.ssh.glob_patterns import PATH_MAX, parts_of
from collectors.access.ssh.included_paths import included_paths, pattern_path
from collectors.access.ssh.sshd_config import read_configuration
from collectors.contract import MalformedError
from collectors.reading.errors import ReadError
from collectors.reading.host import Host
from tests.collectors.access.ssh.server import Server, write_tree

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
SSHD_NAMES = ["1.conf", "a.conf", "^.conf", "-", "]", "é", ".x", "B", "[", "!", ":", "\\\\a", "x y"]
SSHD_PATTERNS = [
    "[[:digit:]]*.conf",
    "[[:alpha:][:digit:]].conf",
    "[![:alpha:]]*",
    "[[:punct:]]",
    "[[:nothing:]]*",
    "[[:alpha]*",
    "[[:space:]a-]*",
    "[^a]*",
    "[!a]*",
    "[^]*",
    "[]-a]",
    "[]]",
    "[!]]",
    "[a",
    "[",
    "[!",
    "[a-]*",
    "[--9]*",
    "?",
    "??",
    ".?",
    "[.]x",
    "\\\\.x",
    "\\\\[",
    "{1,a}.conf",
    "*x*",
    "[[:upper:]]",
    "[B-\\\\a]*",
]
PATTERNS = [
    "*.conf",
    "*",
    "[a-z].conf",
    "[!a-z]*.conf",
    "[[]x].conf",
    ".h*",
    "a.conf",
    "none*",
    "[",
    "[]x]",
    "*/x",
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
    told: list[ReadError] = []
    paths = included_paths(Host(str(root), secret=b""), pattern, told.append)
    assert told == []
    return paths


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_same_files_are_found_as_by_glob(folder: Path, tmp_path: Path, pattern: str) -> None:
    theirs = sorted(os.path.join("/etc/ssh/sshd_config.d", each) for each in glob.glob(pattern, root_dir=folder))
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


def test_a_loop_of_links_is_told_and_other_folders_are_looked_into(tmp_path: Path) -> None:
    (tmp_path / "etc/here").mkdir(parents=True)
    (tmp_path / "etc/here/a.conf").touch()
    (tmp_path / "etc/loop").symlink_to("loop")
    told: list[ReadError] = []
    assert included_paths(Host(str(tmp_path), secret=b""), "/etc/*/*.conf", told.append) == ["/etc/here/a.conf"]
    assert [each.path for each in told] == ["/etc/loop"]


def test_a_pattern_that_openssh_reads_past_its_end_is_told(tmp_path: Path) -> None:
    for pattern in ("/etc/[x[:alpha:]", "/etc/[a/b]"):
        told: list[ReadError] = []
        assert included_paths(Host(str(tmp_path), secret=b""), pattern, told.append) == []
        assert [each.reason for each in told] == ["malformed"]


def test_past_a_budget_of_names_the_folder_left_out_is_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1").touch()
        (tmp_path / name / "2").touch()
        (tmp_path / name / "3").touch()
    told: list[ReadError] = []
    host = Host(str(tmp_path), secret=b"")
    assert included_paths(host, "/*/?", told.append, most=6) == ["/a/1", "/a/2", "/a/3"]
    assert [(each.path, each.reason) for each in told] == [("/b", "truncated")]


class Counting(Host):
    """A host that counts how often a folder of it is listed."""

    listed = 0

    def names(self, path: str, *, limit: int = 100_000, untrusted: str | None = None) -> list[str]:
        self.listed += 1
        return super().names(path, limit=limit, untrusted=untrusted)


def test_the_way_up_and_down_again_uses_up_the_budget_too(tmp_path: Path) -> None:
    (tmp_path / "etc/.x").mkdir(parents=True)
    host, told = Counting(str(tmp_path), secret=b""), list[ReadError]()
    assert included_paths(host, "/etc/" + ".*/" * 10 + "k", told.append, most=100) == []
    assert host.listed <= 200
    assert {each.reason for each in told} == {"truncated"}


def test_a_folder_of_its_own_and_the_one_above_are_names_too(tmp_path: Path) -> None:
    (tmp_path / "etc/.x").mkdir(parents=True)
    (tmp_path / "etc/k").touch()
    (tmp_path / "k").touch()
    assert found(tmp_path, "/etc/.*/k") == ["/etc/../k", "/etc/k"]


@pytest.mark.needs_program("sshd", "ssh-keygen")
def test_the_same_files_are_included_as_by_sshd(server: Server, tmp_path: Path) -> None:
    files = {
        f"etc/ssh/{folder}/{name}": f"AllowUsers {folder}-{index}\n"
        for folder in range(len(SSHD_PATTERNS))
        for index, name in enumerate(SSHD_NAMES)
    }
    lines = [f"Include ROOT/etc/ssh/{folder}/{pattern}\n" for folder, pattern in enumerate(SSHD_PATTERNS)]
    config = write_tree(files | {"etc/ssh/sshd_config": "".join(lines)}, tmp_path, server.folder / "included")
    theirs = server.settings(config)["allowusers"]
    ours = effective_settings(read_configuration(Host(str(tmp_path), secret=b"")).directives)
    assert tuple(each.value for each in ours) == theirs
    assert len({each.split("-")[0] for each in theirs}) > len(SSHD_PATTERNS) / 2


@pytest.mark.needs_program("sshd", "ssh-keygen")
@pytest.mark.parametrize("end", ["", "/", "/.", "//", "/./"])
def test_behind_the_name_of_a_file_there_may_be_no_slash(server: Server, tmp_path: Path, end: str) -> None:
    files = {
        "etc/ssh/a": "AllowUsers a\n",
        "etc/ssh/sshd_config": f"Include ROOT/etc/ssh/a{end}\nInclude ROOT/etc{end}\n",
    }
    theirs = server.settings(write_tree(files, tmp_path, server.folder / "ends"))
    ours = effective_settings(read_configuration(Host(str(tmp_path), secret=b"")).directives)
    assert [each.value for each in ours] == list(theirs.get("allowusers", ()))


@pytest.mark.needs_program("sshd", "ssh-keygen")
def test_a_pattern_as_long_as_no_path_can_be_names_nothing_to_sshd_nor_to_us(server: Server, tmp_path: Path) -> None:
    file = write_tree({"etc/ssh/a": "AllowUsers a\n"}, tmp_path, server.folder / "long").parent / "a"
    for length, names in ((PATH_MAX - 1, True), (PATH_MAX, False)):
        pattern = str(file).replace("/etc", "/" * (length - len(str(file)) + 1) + "etc")
        config = write_tree({"etc/ssh/sshd_config": f"Include {pattern}\n"}, tmp_path, server.folder / "long")
        assert ("allowusers" in server.settings(config)) == names
        assert bool(found(Path("/"), pattern)) == names


def test_a_long_pattern_takes_no_time_worth_mention() -> None:
    began = time.process_time()
    assert parts_of("/" + "[" * 1_000_000) is None
    assert time.process_time() - began < 5


@given(st.text(alphabet="ab[]!^-:\\*?./é", max_size=12) | st.text(max_size=12))
def test_any_pattern_gives_parts_or_our_error(pattern: str) -> None:
    try:
        parts = parts_of(pattern)
    except (MalformedError, UnicodeEncodeError):
        return
    assert parts is None or all(isinstance(each.fits("a" * 200), bool) for each in parts)


def test_many_stars_take_no_more_than_the_product_of_lengths() -> None:
    (part,) = parts_of("*a" * 100 + "b") or ()
    assert not part.fits("a" * 255)
