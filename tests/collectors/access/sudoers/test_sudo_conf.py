from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.access.sudoers.sudo_conf import FOLDERS, SUDO_CONF, SUDOERS, Configuration, parse_sudo_conf
from tests.collectors.access.sudoers.tree import OURS, Tree

POLICY = "Plugin sudoers_policy sudoers.so "
OTHER = "sudoers_file=/opt/s"
RULE = "{} ALL = ALL\n"


def told(text: str) -> Configuration:
    """Return what a sudo.conf says that leaves nothing open."""
    configuration, gaps = parse_sudo_conf(text)
    assert gaps == []
    return configuration


@pytest.mark.parametrize(
    "text",
    [
        f"{POLICY}{OTHER}\n",
        f"pLUGIN\tsudoers_policy \tsudoers.so\t{OTHER}\r\n",
        f"  {POLICY}\\\n   sudoers_\\\n  file=/opt/s # {OTHER}x\n",
        f"{POLICY}{OTHER}\0x\n",
        f"{POLICY}{OTHER}x {OTHER}\n",
        f"Plugin sudoers_audit sudoers.so {OTHER}\n",
        f"{POLICY}{OTHER}x\nPlugin sudoers_audit sudoers.so {OTHER}\n",
        f"{POLICY}{OTHER}\n{POLICY}{OTHER}x\n",
        f"Plugin sudoers_policy ./sudoers.so {OTHER}\n",
        f"Plugin audit_json audit_json.so\nPlugin sudoers_policy {FOLDERS[0]}/sudoers.so {OTHER}\n",
        f"Path plugin_dir /x/\npath PLUGIN_DIR {FOLDERS[0]}/\n{POLICY}{OTHER}\n",
    ],
)
def test_another_file_is_named_however_sudo_takes_it(text: str) -> None:
    assert told(text).paths == ("/opt/s",)


@pytest.mark.parametrize(
    "text",
    [
        f"Plugins sudoers_policy sudoers.so {OTHER}\n",
        f"Plugin\fsudoers_policy sudoers.so {OTHER}\n",
        "Plugin sudoers_policy\nPlugin \\\n",
        f"{POLICY}SUDOERS_FILE=/opt/s\n",
        f"{POLICY}\\ # a comment ends the line\n {OTHER}\n",
        f"{POLICY}\\ \n {OTHER}\n",
        f"{POLICY}\\\\\n {OTHER}\n",
        f"Plugin sudoers_io sudoers.so {OTHER}\n",
        f"Plugin sudoers_audit sudoers.so\n{POLICY}{OTHER}\n",
        f"Plugin sudoers_audit sudoers.so\nPlugin sudoers_audit sudoers.so {OTHER}\n",
        f"# {POLICY}{OTHER}\n",
    ],
)
def test_another_file_is_not_named_where_sudo_does_not_take_it(text: str) -> None:
    assert told(text) == Configuration()


@pytest.mark.parametrize(
    "option",
    [
        "sudoers_uid=abc", "sudoers_uid=", "sudoers_gid=-1", "sudoers_uid=4294967296", "sudoers_mode=9",
        "sudoers_mode=10000", "sudoers_file=", "ldap_conf=", "ldap_secret=", "sudoers_uid=x sudoers_uid=0",
    ],
)  # fmt: skip
def test_an_option_that_sudo_cannot_take_makes_it_refuse_everybody(tree: Tree, option: str) -> None:
    tree.put(SUDO_CONF, POLICY + option + "\n")
    tree.put("/etc/sudoers", RULE.format("x"))
    assert [row.ignored for row in tree.rows()] == ["policy_refused"]
    assert tree.gaps()[0] == (SUDO_CONF, "malformed", 1)


def test_numbers_are_read_as_sudo_reads_them() -> None:
    assert told(f"{POLICY}sudoers_uid={'0' * 9000}") == Configuration()
    assert told(POLICY + "sudoers_uid=+012 sudoers_gid=-5 sudoers_mode=0440\n") == Configuration(uid=12, gid=2**32 - 5)


@pytest.mark.parametrize(("value", "recovers"), [("No", False), ("0", False), ("never", True), ("", True), ("f", True)])
def test_only_a_word_that_sudo_knows_turns_the_recovery_off(value: str, recovers: bool) -> None:
    assert told(f"{POLICY}error_recovery={value}\n").error_recovery == recovers


@pytest.mark.parametrize(
    "line",
    [
        "Plugin sudoers_policy /opt/other.so sudoers_file=/opt/s",
        "Plugin vendor_policy sudoers.so",
        "Plugin sudoers_audit /opt/sudoers.so",
        "Plugin sudoers_policy ../sudoers.so",
        "Path plugin_dir /opt/",
        "Path plugin_dir /usr/libexec/sudo",
        "Path plugin_dir /usr/libexec/sudo/ x/",
        "Path plugin_dir",
    ],
)
def test_a_plugin_that_is_not_known_to_be_sudos_own_is_a_gap_and_only_what_is_may_name_a_file(line: str) -> None:
    configuration, gaps = parse_sudo_conf(f"# x\n{line}\n")
    assert configuration.paths == SUDOERS
    assert [(gap.source, gap.reason, gap.line) for gap in gaps] == [(SUDO_CONF, "unenumerable", 2)]


@pytest.mark.parametrize("option", ["ignore_perms=true", "sudoers_file=/a:/b", "sudoers_file=s"])
def test_what_another_version_or_another_folder_makes_different_is_a_gap(option: str) -> None:
    _, gaps = parse_sudo_conf(POLICY + option)
    assert [(gap.source, gap.reason, gap.line) for gap in gaps] == [(SUDO_CONF, "unknown_format", 1)]


def test_of_a_file_whose_path_is_relative_the_usual_one_is_not_said_to_be_in_force(tree: Tree) -> None:
    tree.put(SUDO_CONF, OURS.strip() + " sudoers_file=s\n")
    tree.put("/etc/sudoers", RULE.format("x"))
    assert [row.ignored for row in tree.rows()] == ["not_asked"]


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_sudo_conf_that_others_may_write_to_says_nothing(tree: Tree, mode: int) -> None:
    tree.put(SUDO_CONF, f"{POLICY}sudoers_uid=4242 {OTHER}\n", mode=mode)
    tree.put("/etc/sudoers", RULE.format("x"))
    tree.put("/opt/s", RULE.format("y"))
    assert {row.users for row in tree.rows()} == {("x",)}
    assert (SUDO_CONF, "untrusted", None) in tree.gaps()


BAD = "sudo refuses everybody for this, since sudo.conf turns error_recovery off"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a ALL = ALL\nx y\n", ("/etc/sudoers", 2)),
        ("a ALL = ALL\n@include /etc/broken\n", ("/etc/broken", 1)),
        ("a ALL = ALL\n@includedir /etc/broken.d\n", ("/etc/broken.d/10", 1)),
        ("a ALL = ALL\n@include /etc/none\n", ("/etc/sudoers", 2)),
        ("a ALL = ALL\n@include /etc/open\n", ("/etc/sudoers", 2)),
        ("a ALL = ALL\n@include /etc/open.d\n", ("/etc/sudoers", 2)),
        ("a ALL = ALL\nUser_Alias A = b\nUser_Alias A = c\n", ("/etc/sudoers", 3)),
        ("a ALL = ALL\n@include /etc/sudoers\n", ("/etc/sudoers", 2)),
        ("a ALL = ALL\n@includedir /etc/open.d\n@includedir /etc/none.d\nDefaults unknown\nB ALL = ALL\n", None),
    ],
)
def test_one_fault_anywhere_is_enough_where_sudo_is_told_not_to_recover(
    tree: Tree, text: str, where: tuple[str, int] | None
) -> None:
    tree.put(SUDO_CONF, OURS.strip() + " error_recovery=false\n")
    tree.put("/etc/sudoers", text)
    tree.put("/etc/broken", "x y\n")
    tree.put("/etc/broken.d/10", "x y\n")
    tree.put("/etc/open", RULE.format("o"), mode=0o446)
    tree.put("/etc/open.d/10", "x y\n", mode=0o446)
    rows, gaps = tree.collect()
    first = next(row for row in rows if row.kind == "rule")
    assert first.ignored == ("policy_refused" if where else None)
    assert [(gap.source, gap.line) for gap in gaps if gap.detail == BAD] == ([where] if where else [])
    assert not any("goes on" in gap.detail for gap in gaps)


PIECES = st.sampled_from([*"\\\n\r\t \0#=:/", "Plugin", "Path", "plugin_dir", "sudoers_policy", POLICY, "sudoers_uid="])


@given(st.lists(PIECES).map("".join))
def test_any_text_comes_to_something(text: str) -> None:
    configuration, _ = parse_sudo_conf(text)
    assert all(path.startswith("/") for path in configuration.paths)
