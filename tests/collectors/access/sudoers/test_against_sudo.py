from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.collectors.access.sudoers.oracle import checked, converted, converted_file, differences, parsed, refusal
from tests.collectors.access.sudoers.stories import FAULTY, TAKEN
from tests.collectors.access.sudoers.texts import damaged, sudoers_texts
from tests.collectors.access.sudoers.tree import Tree

pytestmark = pytest.mark.needs_program("cvtsudoers", "visudo")

SLOW = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("story", TAKEN)
def test_what_sudo_takes_is_read_as_sudo_reads_it(story: str) -> None:
    theirs, faults = converted(TAKEN[story])
    assert (theirs is not None, faults) == (True, [])
    assert differences(TAKEN[story]) == []


@pytest.mark.parametrize("story", FAULTY)
def test_the_lines_sudo_finds_fault_with_are_ours(story: str) -> None:
    theirs, faults = converted(FAULTY[story])
    assert theirs is None
    assert faults
    assert differences(FAULTY[story]) == []


@pytest.mark.parametrize("story", TAKEN | FAULTY)
def test_visudo_refuses_the_same_texts_and_names_the_same_first_line(story: str, tmp_path: Path) -> None:
    text = (TAKEN | FAULTY)[story]
    (tmp_path / "sudoers").write_text(text, newline="")
    accepted, first = checked(str(tmp_path / "sudoers"))
    faults = parsed(text)[1]
    assert (accepted, first) == (not faults, min(faults, default=None))


def test_cvtsudoers_is_stricter_than_sudo_with_a_bad_regular_expression_and_with_the_path_of_sudoedit() -> None:
    text = "a ALL = /bin/sudoedit\nb = = c\nd ALL = ^/bin/($\ne = = f\n"
    assert (converted(text)[1], parsed(text)[1]) == ([2, 3, 4], [2, 4])
    assert differences(text) == []


def test_includes_within_each_other_end_where_sudo_ends_them(tree: Tree) -> None:
    tree.put("/etc/sudoers", "@include 0\n")
    for number in range(200):
        tree.put(f"/etc/{number}", f"u{number} ALL = ALL\n@include {number + 1}\n")
    message = refusal(str(tree.root / "etc/sudoers"))
    (deep,) = [row.file for row in tree.rows("file") if row.ignored == "too_deep"]
    assert message == f"cvtsudoers: {tree.root}{deep}: too many levels of includes"


@pytest.mark.needs_root  # cvtsudoers asks that an included folder be root's
def test_included_files_are_read_in_the_order_of_sudo(tree: Tree) -> None:
    tree.put("/etc/sudoers", "a ALL = ALL\n@include more\n#includedir d\n@includedir none\nz ALL = ALL\n")
    tree.put("/etc/more", "m ALL = ALL\n@include d/nested.conf\n")
    for name in ("d/10", "d/9", "d/B", "d/a", "d/x~", "d/y.z", "d/nested.conf"):
        tree.put(f"/etc/{name}", f"u{name[2:].strip('~')} ALL = ALL\n")
    theirs, faults = converted_file(str(tree.root / "etc/sudoers"))
    assert faults == []
    assert [rule["users"] for rule in theirs["rules"]] == [[{"username": row.users[0]}] for row in tree.rows()]


@SLOW
@given(sudoers_texts())
def test_made_up_text_is_read_as_sudo_reads_it(text: str) -> None:
    assert differences(text) == []


@SLOW
@given(damaged())
def test_of_damaged_text_the_same_lines_are_refused(text: str) -> None:
    # Of Defaults cvtsudoers shows known settings only.
    assert differences(text, "aliases", "rules") == []
