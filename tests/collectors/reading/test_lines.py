"""Text files become rows and gaps, line by line; nothing in a file is lost in silence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.contract import Gap, MalformedError, Row, means
from collectors.reading.host import Host
from collectors.reading.lines import LONGEST_LINE, each_line, in_text
from tests.collectors.reading.planting import Plant


class Line(Row):
    """One line."""

    text: Annotated[str, means("the line")]
    line: Annotated[int, means("its number")]


def keep(text: str, line: int) -> Line | None:
    """Return the line; comments are passed over, and a line that begins with ! is malformed."""
    if text.startswith("!"):
        raise MalformedError("no exclamation mark", "one")
    return None if text.startswith("#") else Line(text=text, line=line)


def read(host: Host, *, limit: int = 1 << 20, required: bool = True) -> list[Line | Gap]:
    return list(each_line(host, "/file", keep, limit=limit, required=required))


def test_rows_gaps_and_passed_over_lines_keep_their_numbers(host: Host, plant: Plant) -> None:
    plant("/file", "a\n# comment\n!\n\nb")
    assert read(host) == [
        Line(text="a", line=1),
        Gap("/file", "malformed", "expected no exclamation mark, found one", line=3),
        Line(text="", line=4),
        Line(text="b", line=5),
    ]


def test_only_a_newline_ends_a_line(host: Host, plant: Plant) -> None:
    plant("/file", "a\rb\fc\x0bd\x1ce\u2028f\x85g\r\n")
    assert read(host) == [Line(text="a\rb\fc\x0bd\x1ce\u2028f\x85g\r", line=1)]


def test_an_empty_file_has_no_lines_and_no_gaps(host: Host, plant: Plant) -> None:
    plant("/file", "")
    assert read(host) == []


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"can\0ary", "expected a line without NUL, found one"),
        (b"x" * (LONGEST_LINE + 1), f"expected a line of at most {LONGEST_LINE} bytes, found {LONGEST_LINE + 1}"),
    ],
    ids=["NUL", "too long"],
)
def test_a_line_that_is_no_text_is_a_gap_and_the_next_is_read(
    host: Host, plant: Plant, raw: bytes, detail: str
) -> None:
    plant("/file", raw + b"\nb\n")
    assert read(host) == [Gap("/file", "malformed", detail, line=1), Line(text="b", line=2)]


def test_a_line_that_is_not_utf8_is_a_row_and_to_be_told_it_is_escaped(host: Host, plant: Plant) -> None:
    plant("/file", b"a\xffb\n")
    (row,) = read(host)
    assert row == Line(text="a\udcffb", line=1)
    gap = Gap("/file", "malformed", "expected UTF-8 in text, found other bytes, shown escaped", line=1)
    assert list(in_text(row, "/file", 1)) == [Line(text="a\\xffb", line=1), gap]


def test_a_row_of_utf8_is_told_as_it_is() -> None:
    row = Line(text="caf\u00e9", line=1)
    assert list(in_text(row, "/file", 1)) == [row]


def test_a_line_of_the_longest_length_is_read(host: Host, plant: Plant) -> None:
    plant("/file", "x" * LONGEST_LINE)
    assert read(host) == [Line(text="x" * LONGEST_LINE, line=1)]


@pytest.mark.parametrize("limit", [5, 6, 7])
def test_a_file_past_the_limit_gives_its_whole_lines_then_says_where_it_was_cut(
    host: Host, plant: Plant, limit: int
) -> None:
    plant("/file", "one\ntwo\nthree\n")
    detail = f"expected at most {limit} bytes, found more"
    assert read(host, limit=limit) == [Line(text="one", line=1), Gap("/file", "truncated", detail, line=2)]


def test_a_file_of_exactly_the_limit_is_whole(host: Host, plant: Plant) -> None:
    plant("/file", "one\ntwo\n")
    assert read(host, limit=8) == [Line(text="one", line=1), Line(text="two", line=2)]


def test_one_endless_line_is_cut_and_said(host: Host, plant: Plant) -> None:
    os.truncate(plant("/file", ""), 1 << 40)
    assert [each.reason for each in read(host) if isinstance(each, Gap)] == ["truncated"]


def test_an_absent_file_is_a_gap_only_if_it_is_required(host: Host) -> None:
    assert read(host) == [Gap("/file", "absent")]
    assert read(host, required=False) == []


def test_a_file_that_cannot_be_read_is_a_gap_even_if_it_is_not_required(host: Host, root: Path) -> None:
    os.mkfifo(root / "file")
    assert read(host, required=False) == [Gap("/file", "not_regular", "expected a file, found a fifo")]


@given(st.binary(max_size=200), st.integers(0, 200))
def test_each_line_of_any_bytes_is_a_row_or_a_gap_or_behind_the_cut(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, limit: int
) -> None:
    root = tmp_path_factory.mktemp("any")
    (root / "file").write_bytes(data)
    host = Host(str(root), secret=b"")
    items = list(each_line(host, "/file", lambda text, line: Line(text=text, line=line), limit=limit))
    numbers = [item.line for item in items]
    assert numbers == list(range(1, len(items) + 1))
    cut = bool(items) and isinstance(items[-1], Gap) and items[-1].reason == "truncated"
    assert cut == (len(data) > limit)
    if not cut:
        assert len(items) == data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
