from __future__ import annotations

import pytest

from collectors.access.sudoers.sources import NSSWITCH, Source, sources_of
from tests.collectors.access.sudoers.tree import Tree

SSS = b"\x7fELF sudo_file_open\0sudo_sss_open\0"
LDAP = b"\x7fELF sudo_file_open\0libldap.so.2\0"
PLUGIN = "/usr/libexec/sudo/sudoers.so"


def asked(tree: Tree, line: str, plugin: bytes | None) -> tuple[str | None, list[str]]:
    """Return (why a rule of /etc/sudoers is not in force, what the gaps say)."""
    tree.put("/etc/sudoers", "x ALL = ALL\n")
    tree.put(NSSWITCH, f"passwd: files sss\n{line}\nsudoers: ldap sss\n")
    if plugin is not None:
        tree.put(PLUGIN, plugin)
    rows, gaps = tree.collect()
    (rule,) = [row for row in rows if row.kind == "rule"]
    return rule.ignored, [gap.detail for gap in gaps]


@pytest.mark.parametrize(
    "line",
    ["sudoers: files SSS", "sudoers: files \\\n  sss", "  SUDOERS:\tsss\tFILES # x", "sudoers: nis sss files ldap"],
)
def test_a_directory_beside_the_files_is_a_gap_however_it_is_written(tree: Tree, line: str) -> None:
    ignored, gaps = asked(tree, line, SSS)
    assert (ignored, gaps) == (None, ["rules come from sss as well, which cannot be listed from here"])


@pytest.mark.parametrize("line", ["sudoers: sss", "sudoers: nis SSS ldap", "sudoers: sss # files", "sudoers: sss \\ #"])
def test_without_files_in_the_list_no_rule_in_a_file_is_in_force(tree: Tree, line: str) -> None:
    assert asked(tree, line, SSS) == ("not_asked", ["rules come from sss alone, which cannot be listed from here"])


@pytest.mark.parametrize(
    "line", ["sudoers: files", "sudoers: ldap", "sudoers: ldap files", "sudoers:", "sudoers: nis", "sudoers: sss,files"]
)
def test_a_list_that_names_nothing_sudo_was_built_for_means_the_files(tree: Tree, line: str) -> None:
    assert asked(tree, line, SSS) == (None, [])


def test_whether_ldap_alone_counts_hangs_on_how_sudo_was_built(tree: Tree) -> None:
    alone = "rules come from ldap alone, which cannot be listed from here"
    unknown = "a sudo that is built for ldap takes its rules from there alone, another from its files"
    assert asked(tree, "sudoers: ldap", None) == asked(tree, "sudoers: ldap", b"\x7fELF no names") == (None, [unknown])
    assert asked(tree, "sudoers: ldap", LDAP) == ("not_asked", [alone])


def test_a_blank_before_the_colon_makes_it_no_entry_of_sudos() -> None:
    assert sources_of("sudoers : sss\n") == (0, (Source("files"),))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sss [SUCCESS=return] files", "; where sss has a rule, sudo does not ask the files"),
        ("sss [notfound=RETURN] files", "; where sss has no rule, sudo does not ask the files"),
        ("files [SUCCESS=return] sss", ""),
        ("sss [SUCCESS=continue] [SUCCESS=return] files", ""),
        ("sss nis [SUCCESS=return] files", ""),
        ("sss sss [SUCCESS=return] files", ""),
    ],
)
def test_an_action_directly_behind_a_source_says_when_the_files_are_not_asked(tree: Tree, line: str, said: str) -> None:
    ignored, gaps = asked(tree, f"sudoers: {line}", SSS)
    assert (ignored, gaps) == (None, ["rules come from sss as well, which cannot be listed from here" + said])


def test_with_a_directory_beside_it_a_main_file_that_is_refused_is_not_said_to_stop_everybody(tree: Tree) -> None:
    tree.put("/etc/sudoers", "x ALL = ALL\n", mode=0o446)
    tree.put(NSSWITCH, "sudoers: files sss\n")
    details = [gap.detail for gap in tree.collect()[1]]
    assert "sudo takes no rule from its files, for it has no policy without this one" in details
