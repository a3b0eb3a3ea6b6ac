"""The page of faults names tests that are there, and every row says what shows it."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs/faults.md").read_text("utf-8")
GROUPS = {"S": 13, "T": 3, "N": 13, "H": 21, "V": 13}
ROWS = re.findall(r"^\| *([A-Z][0-9]+) *\|(.*)\|$", PAGE, re.MULTILINE)
TEST = re.compile(r"`(tests/[^`]*)`")
FILE = re.compile(r"tests/(\w+/)*test_\w+\.py")
NOT_YET = re.compile(r"^not \w+", re.IGNORECASE)
APART = {
    "tests/booted/": "make test-booted",
    "tests/packages/": "make test-booted",
    "tests/faults/": "make test-faults",
}
"""Folders that `make test` leaves out, and what runs them."""

rows = pytest.mark.parametrize("cells", [each for _, each in ROWS], ids=[name for name, _ in ROWS])


@functools.cache
def known_in(path: str) -> frozenset[str]:
    """Return the tests of a file as pytest names them, without importing it."""
    found = set()
    for node in ast.parse((TOP / path).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return frozenset(each for each in found if each.rpartition("::")[2].startswith("test_"))


def test_every_row_of_each_group_is_there_once_and_in_its_order() -> None:
    expected = [f"{group}{number}" for group, count in GROUPS.items() for number in range(1, count + 1)]
    assert [name for name, _ in ROWS] == expected


def test_no_line_of_a_table_escapes_these_tests() -> None:
    lines = [line for line in PAGE.split("\n") if line.startswith("|")]
    heads = [line for line in lines if line.startswith(("| row |", "| --- |"))]
    assert len(lines) == len(ROWS) + len(heads)
    assert len(heads) == 2 * len(GROUPS)


@rows
def test_a_row_has_a_fault_what_follows_and_its_tests(cells: str) -> None:
    fault, follows, tests = (each.strip() for each in cells.split(" | "))
    assert fault
    assert follows
    assert TEST.search(tests) or NOT_YET.search(tests), "expected a test, or a plain word such as: not collected yet"


def test_every_test_that_is_named_is_there() -> None:
    named = [each for each in TEST.findall(PAGE) if each.endswith(".py") or "::" in each]
    assert len(named) > len(ROWS)
    for each in named:
        path, _, name = each.partition("::")
        assert FILE.fullmatch(path), each
        assert (TOP / path).is_file(), each
        assert known_in(path) if not name else name in known_in(path), each


def test_every_folder_that_is_named_is_there() -> None:
    for each in TEST.findall(PAGE):
        assert (TOP / each.partition("::")[0]).exists(), each


@rows
def test_what_make_test_does_not_show_says_what_does(cells: str) -> None:
    named = TEST.findall(cells)
    wanted = {make for each in named for folder, make in APART.items() if each.startswith(folder)}
    if named and all(each.startswith(tuple(APART)) for each in named):
        assert [each for each in wanted if each in cells]


def test_a_method_counts_by_its_class_and_what_is_no_test_does_not() -> None:
    known = known_in("tests/collectors/reading/test_hostile_trees.py")
    assert "TestKinds::test_fifo" in known
    assert "test_fifo" not in known
    assert "opened_meanwhile" not in known
    assert "TestKinds::refused" not in known
