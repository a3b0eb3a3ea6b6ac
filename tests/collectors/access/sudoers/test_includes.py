from __future__ import annotations

import os
from pathlib import Path

import pytest

from collectors.access.sudo_rules import TABLE, SudoRule
from collectors.access.sudoers.walk import FILES
from collectors.contract import Gap, UnsupportedError
from collectors.reading.errors import ReadError
from collectors.reading.host import MIB, Content, Host
from tests.collectors.access.sudoers.tree import OURS, RootsConf, Tree, said

SUDOERS = "/etc/sudoers"
RULE = "{} ALL = ALL\n"


def users(tree: Tree) -> list[str]:
    return [row.users[0] for row in tree.rows() if row.ignored is None]


def test_files_are_read_where_they_are_included_in_the_order_of_their_bytes(tree: Tree) -> None:
    tree.put(SUDOERS, "a ALL = ALL\n@includedir /etc/sudoers.d\nz ALL = ALL\n")
    for name in ("20", "10-x", "B", "a", "é"):
        tree.put(f"/etc/sudoers.d/{name}", RULE.format(f"u{name}"))
    assert users(tree) == ["a", "u10-x", "u20", "uB", "ua", "ué", "z"]
    assert tree.gaps() == []


@pytest.mark.parametrize("name", ["x.conf", ".hidden", "backup~", "a.b.c", "x.rpmnew", "y.dpkg-old"])
def test_a_name_with_a_dot_or_a_tilde_at_the_end_is_passed_over_and_said(tree: Tree, name: str) -> None:
    tree.put(SUDOERS, "#includedir /etc/sudoers.d\n")
    tree.put(f"/etc/sudoers.d/{name}", RULE.format("x"))
    tree.put("/etc/sudoers.d/a~b", RULE.format("read"))
    assert users(tree) == ["read"]
    files = {row.file: row.ignored for row in tree.rows("file")}
    assert files[f"/etc/sudoers.d/{name}"] == "name_skipped"


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("#include /etc/more", "/etc/more"),
        ("@include /etc/more # with a comment", "/etc/more"),
        ("@include\t/etc/more", "/etc/more"),
        ("  @include more", "/etc/more"),
        ("@include sub/more", "/etc/sub/more"),
        ('@include "/etc/more or less"', "/etc/more or less"),
        ("@include /etc/more\\ or\\ less", "/etc/more or less"),
        ("@include /etc/sudoers.%h", "/etc/sudoers.web1"),
        ("@include %h/%h", "/etc/web1/web1"),
        ("@include \\x2fetc/more", "/etc/more"),
    ],
)
def test_the_path_of_an_include_is_found_as_sudo_finds_it(tree: Tree, line: str, path: str) -> None:
    tree.put(SUDOERS, line + "\n")
    tree.put("/etc/hostname", "web1.example.com\n")
    tree.put(path, RULE.format("found"))
    assert users(tree) == ["found"]
    assert [row.target for row in tree.rows("include")] == [path]


@pytest.mark.parametrize(
    "line", [" #include /etc/more", "#include", "#includedir", "#includes /etc/more", "# include x"]
)
def test_what_only_looks_like_an_include_is_a_comment(tree: Tree, line: str) -> None:
    tree.put(SUDOERS, line + "\n")
    tree.put("/etc/more", RULE.format("found"))
    assert tree.rows("include") == []
    assert tree.gaps() == []


def test_an_include_that_is_followed_by_more_is_read_and_is_at_fault(tree: Tree) -> None:
    tree.put(SUDOERS, "@include /etc/more and more\n")
    tree.put("/etc/more", RULE.format("found"))
    assert users(tree) == ["found"]
    assert tree.gaps() == [(SUDOERS, "malformed", 1)]


def test_a_host_name_that_is_not_known_is_a_gap(tree: Tree) -> None:
    tree.put(SUDOERS, "@include sudoers.%h\n")
    (row,) = tree.rows("include")
    assert said(row, "target", "unparsed") == (None, True)
    assert tree.gaps() == [(SUDOERS, "absent", 1)]


def test_a_file_that_is_not_there_is_a_gap_and_a_folder_that_is_not_there_a_fact(tree: Tree) -> None:
    tree.put(SUDOERS, "@include /etc/none\n@includedir /etc/none.d\nz ALL = ALL\n")
    rows, _ = tree.collect()
    assert {(row.file, row.kind): row.ignored for row in rows if row.line == 0} == {
        (SUDOERS, "file"): None,
        ("/etc/none", "file"): "absent",
        ("/etc/none.d", "folder"): "absent",
    }
    assert tree.gaps() == [("/etc/none", "absent", None)]
    assert users(tree) == ["z"]


class Closed(RootsConf):
    """A host on which one file is for others."""

    def read(self, path: str, *, limit: int = MIB, untrusted: str | None = None) -> Content:
        if path == "/etc/secret":
            raise ReadError(path, "permission_denied")
        return super().read(path, limit=limit, untrusted=untrusted)


def test_a_file_that_may_not_be_read_is_unknown_and_not_empty(tree: Tree) -> None:
    tree.put(SUDOERS, "@include /etc/secret\nz ALL = ALL\n")
    tree.put("/etc/secret", RULE.format("x"))
    found = list(TABLE.collect(Closed(str(tree.root), secret=b"x")))
    (row,) = [each for each in found if isinstance(each, SudoRule) and each.file == "/etc/secret"]
    assert said(row, "kind", "ignored", "unparsed", "mode") == ("file", None, True, "0440")
    assert Gap("/etc/secret", "permission_denied") in found


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(0o446, "world_writable"), (0o442, "world_writable"), (0o640, None), (0o660, None), (0o777, "world_writable")],
)
def test_a_file_that_others_may_write_to_gives_nobody_anything(tree: Tree, mode: int, reason: str | None) -> None:
    tree.put(SUDOERS, "@include /etc/more\n")
    tree.put("/etc/more", RULE.format("x"), mode=mode)
    assert [row.ignored for row in tree.rows()] == [reason]
    assert tree.gaps() == ([("/etc/more", "untrusted", None)] if reason else [])


def test_a_group_that_is_not_sudos_may_not_write(tree: Tree) -> None:
    tree.put("/etc/sudo.conf", OURS.replace("sudoers_gid=", "sudoers_gid=1"))
    tree.put(SUDOERS, "@include /etc/more\n")
    tree.put("/etc/more", RULE.format("x"), mode=0o460)
    assert [row.ignored for row in tree.rows()] == ["group_writable"]


def test_a_folder_that_a_user_may_write_to_is_left_out_whole_and_what_is_in_it_is_shown(tree: Tree) -> None:
    tree.put(SUDOERS, "@includedir /home/u/d\nz ALL = ALL\n")
    tree.put("/home/u/d/10", RULE.format("mallory"))
    (tree.root / "home/u/d").chmod(0o777)
    assert users(tree) == ["z"]
    assert [row.ignored for row in tree.rows() if row.users == ("mallory",)] == ["world_writable"]
    assert tree.gaps() == [("/home/u/d", "untrusted", None)]


def test_another_owner_is_not_trusted(tree: Tree) -> None:
    tree.put("/etc/sudo.conf", "Plugin sudoers_policy sudoers.so sudoers_uid=4242\n")
    tree.put(SUDOERS, "z ALL = ALL\n")
    assert [row.ignored for row in tree.rows()] == ["policy_refused"]
    assert [row.ignored for row in tree.rows("file")] == ["wrong_owner"]


def test_an_unsafe_main_file_takes_its_includes_with_it(tree: Tree) -> None:
    tree.put(SUDOERS, "@include /etc/more\n", mode=0o666)
    tree.put("/etc/more", RULE.format("x"))
    assert [row.ignored for row in tree.rows()] == ["policy_refused"]


@pytest.mark.parametrize("line", ["@include /etc/sudoers", "@include /etc/more", "@includedir /etc/d"])
def test_files_that_include_each_other_end_and_are_reported(tree: Tree, line: str) -> None:
    tree.put(SUDOERS, line + "\nz ALL = ALL\n")
    tree.put("/etc/more", "@include /etc/sudoers\n")
    tree.put("/etc/d/10", "@includedir /etc/d\n")
    assert users(tree) == ["z"]
    assert [reason for _, reason, _ in tree.gaps()] == ["malformed"]


def test_a_file_that_is_included_twice_is_read_twice(tree: Tree) -> None:
    tree.put(SUDOERS, "@include /etc/more\n@include /etc/more\n")
    tree.put("/etc/more", RULE.format("x"))
    assert [said(row, "reading", "line", "index") for row in tree.rows()] == [(1, 1, 1), (2, 1, 1)]


def test_more_includes_within_each_other_than_sudo_follows_are_too_deep(tree: Tree) -> None:
    tree.put(SUDOERS, "@include 0\n")
    for number in range(200):
        tree.put(f"/etc/{number}", f"u{number} ALL = ALL\n@include {number + 1}\n")
    assert len(users(tree)) == 144
    assert [row.ignored for row in tree.rows("file")][-1] == "too_deep"
    assert tree.gaps() == [("/etc/144", "malformed", None)]


def test_includes_that_double_at_each_step_are_cut_at_a_number_of_files(tree: Tree) -> None:
    tree.put(SUDOERS, "@include 0\n")
    for number in range(60):
        tree.put(f"/etc/{number}", f"@include {number + 1}\n" * 2)
    tree.put("/etc/60", RULE.format("x"))
    rows, gaps = tree.collect()
    assert sum(row.kind == "file" for row in rows) <= FILES
    assert "truncated" in {gap.reason for gap in gaps}


def test_a_link_in_an_included_folder_is_followed_and_one_to_nothing_is_absent(tree: Tree) -> None:
    tree.put(SUDOERS, "@includedir /etc/d\n")
    tree.put("/srv/x", RULE.format("x"))
    (tree.root / "etc/d").mkdir()
    (tree.root / "etc/d/10").symlink_to("/srv/x")
    (tree.root / "etc/d/20").symlink_to("/srv/none")
    os.mkfifo(tree.root / "etc/d/30")
    assert users(tree) == ["x"]
    assert {row.file: row.ignored for row in tree.rows("file")} == {
        SUDOERS: None,
        "/etc/d/10": None,
        "/etc/d/20": "absent",
        "/etc/d/30": "not_regular",
    }


def test_a_fifo_as_an_include_does_not_block(tree: Tree) -> None:
    tree.put(SUDOERS, "@include /etc/fifo\n")
    os.mkfifo(tree.root / "etc/fifo")
    assert tree.gaps() == [("/etc/fifo", "not_regular", None)]


def test_without_sudo_there_is_no_such_table(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError):
        list(TABLE.collect(Host(str(tmp_path), secret=b"x")))


def test_sudo_without_its_file_refuses_everybody(tree: Tree) -> None:
    tree.put("/usr/bin/sudo", "")
    (row,) = tree.collect()[0]
    assert said(row, "file", "ignored", "unparsed") == (SUDOERS, "absent", True)
    assert ("/etc/sudoers", "absent", None) in tree.gaps()


def test_the_vendors_file_counts_where_the_administrators_is_not(tree: Tree) -> None:
    tree.put("/usr/etc/sudoers", RULE.format("suse"))
    assert users(tree) == ["suse"]


def test_sudo_conf_may_name_another_file(tree: Tree) -> None:
    tree.put("/etc/sudo.conf", f"# x\nPlugin sudoers_policy sudoers.so \\\n sudoers_file=/opt/s {OURS.split('so ')[1]}")
    tree.put("/opt/s", RULE.format("x"))
    tree.put(SUDOERS, RULE.format("y"))
    assert users(tree) == ["x"]


def test_another_policy_and_a_directory_are_sources_that_cannot_be_listed(tree: Tree) -> None:
    tree.put("/etc/sudo.conf", OURS + "Plugin sudoers_io sudoers.so\nPlugin vendor_policy /opt/v.so\n")
    tree.put("/etc/nsswitch.conf", "passwd: files\nsudoers: files sss # and more\n")
    tree.put(SUDOERS, "")
    assert tree.gaps() == [("/etc/sudo.conf", "unenumerable", 3), ("/etc/nsswitch.conf", "unenumerable", 2)]
