from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.access import sudo_rules
from collectors.access.sudoers.grammar import Parser
from collectors.access.sudoers.walk import FILE_BYTES
from tests.collectors.access.sudoers.stories import FAULTY, TAKEN
from tests.collectors.access.sudoers.tree import Tree
from tests.fuzz.fuzz_sudoers import target

SUDOERS = "/etc/sudoers"


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace"))))
def test_any_bytes_give_statements_or_problems(data: bytes) -> None:
    target(data)


@pytest.mark.parametrize("story", TAKEN | FAULTY)
def test_every_prefix_of_every_story_gives_statements_or_problems(story: str) -> None:
    text = (TAKEN | FAULTY)[story]
    for end in range(len(text)):
        target(text[:end].encode())


BAIT = [
    "\\", "\\\n", "\\ ", "!", "! ", "^", "^ ", "^\\$ ", "^a$ ", "^\\#", '"', '"a', "#", "#-", "#1", "%", "%:", "+",
    "/", "/a ", "/a,", "/a\\", "a,", "a ", "a\\", ":", "::", "1:", "1.2.3.4", ",", "=", "(", "()", "A", "ALL ", "ALL,",
    "NOPASSWD ", "NOPASSWD:", "sha256", "sha256:", "sha256:a ", "Defaults", "Defaults ", "@include", "@include \\",
    "User_Alias ", "a ALL = /bin/x ^", "a ALL = /bin/x \\,", "CWD=", "\t", "\r", "é", "\0", "X=", "X=a:",
]  # fmt: skip
HEADS = ["", "a ALL = ", "a ALL = /bin/x ", "Defaults ", "Defaults a=", "User_Alias X = ", "a ALL = (", 'Defaults a="']


@pytest.mark.slow
@pytest.mark.parametrize("bait", BAIT)
def test_one_long_line_takes_time_in_proportion_to_its_length(bait: str) -> None:
    for head in HEADS:
        text = head + bait * (60_000 // len(bait))
        began = time.process_time()
        list(Parser(text).statements())
        assert time.process_time() - began < 2, head


@pytest.mark.slow
def test_a_hundred_thousand_lines_are_read(tree: Tree) -> None:
    tree.put(SUDOERS, "".join(f"user{number} ALL = (root) NOPASSWD: /bin/ls\n" for number in range(100_000)))
    began = time.process_time()
    rows, gaps = tree.collect()
    assert (len(rows), gaps) == (100_001, [])
    assert time.process_time() - began < 60


def test_a_line_of_a_megabyte_is_read(tree: Tree) -> None:
    tree.put(SUDOERS, "a ALL = ALL, " + ", ".join(f"/bin/x{number}" for number in range(60_000)) + "\nb ALL = ALL\n")
    rows = tree.rows()
    assert len(rows) == 60_002
    assert rows[-1].users == ("b",)


def test_a_thousand_users_with_a_thousand_commands_each_end_at_a_number_of_characters(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sudo_rules, "TEXT", 1 << 20)
    names = ",".join(f"user{number}" for number in range(1000))
    tree.put(SUDOERS, f"{names} ALL = " + ",".join(["/bin/x"] * 1000) + "\n")
    rows, gaps = tree.collect()
    assert 100 < len(rows) < 200
    assert [(gap.source, gap.reason) for gap in gaps] == [(SUDOERS, "truncated")]


def test_a_file_past_the_limit_is_read_up_to_its_last_whole_line_and_the_rest_is_a_gap(tree: Tree) -> None:
    line = "#" + "x" * 1022 + "\n"
    tree.put(SUDOERS, "a ALL = ALL\n" + line * (FILE_BYTES // 1024) + "b ALL = ALL\n")
    assert [row.users for row in tree.rows()] == [("a",)]
    assert tree.gaps() == [(SUDOERS, "truncated", FILE_BYTES // 1024 + 1)]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from([*BAIT, "\n"]), min_size=1, max_size=30))
def test_mixtures_of_bait_take_no_longer(pieces: list[str]) -> None:
    text = ("".join(pieces)) * (20_000 // len("".join(pieces)))
    began = time.process_time()
    list(Parser(text).statements())
    assert time.process_time() - began < 2
