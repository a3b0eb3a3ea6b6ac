"""Any text is TOML or a problem, in bounded time: H11."""

from __future__ import annotations

import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.configuration.checking import MOST, Checker
from agent.configuration.problems import Place
from agent.configuration.syntax import BYTES_LIMIT, LINE_LIMIT, SyntaxProblemError, lines_of, parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SECOND = 1.0


@pytest.mark.parametrize(
    ("story", "text", "expected", "line"),
    [
        ("dotted key of 40 KB", ".".join("a" * 20_000) + " = 1", "lines of at most 4096", 1),
        ("dotted key of 1 KB", "x = 1\n" + ".".join("a" * 500) + " = 1", "at most 16 dots in a line", 2),
        ("quoted parts", '"a"' + '."a"' * 20 + " = 1", "at most 16 dots in a line", 1),
        ("in an inline table", "x = {" + ".".join("a" * 30) + " = 1}", "at most 16 dots in a line", 1),
        ("in a header", "[" + ".".join("a" * 30) + "]", "at most 16 dots in a line", 1),
        ("nested arrays", "x = " + "[" * 2000, "at most 16 nested brackets", 1),
        ("nested over lines", "x = [\n" * 20, "at most 16 nested brackets", 17),
        ("nested tables", "x = " + "{a=" * 20, "at most 16 nested brackets", 1),
        ("a line with no end", "#" * (LINE_LIMIT + 1), "lines of at most 4096", 1),
        ("three quotes", 'x = """a\nb"""', "text on one line", 1),
        ("three single quotes", "x = '''a'''", "text on one line", 1),
        ("no UTF-8", b"x = 1\n\xff", "UTF-8", 2),
        ("UTF-16", "x = 1".encode("utf-16"), "UTF-8", 1),
        ("byte order mark", "\ufeffx = 1", "TOML", 1),
        ("a NUL", "x = 1\0", "TOML", 1),
        ("a key twice", "x = 1\nx = 2", "TOML", 2),
        ("no end of a string", 'x = "', "TOML", 1),
        ("a date that cannot be", "x = 2026-13-40", "TOML", None),
        ("too large", "#\n" * BYTES_LIMIT, "at most 256 KiB", None),
    ],
)
def test_what_is_not_taken_is_refused_at_once(story: str, text: str | bytes, expected: str, line: int | None) -> None:
    began = time.process_time()
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(SyntaxProblemError) as caught:
        parse(data)
    assert caught.value.expected.startswith(expected), story
    assert line in {None, caught.value.line}
    assert time.process_time() - began < SECOND


def test_quotes_and_comments_are_no_brackets_and_no_dots() -> None:
    text = f"""
    # {"." * 100} {"[" * 100} \"\"\" '''
    a = "{"." * 100}{"[" * 100}#"  # '''
    b = '{"." * 100}\\'
    c = ["\\"[[[", '']
    d = ""
    """
    assert parse(text.encode())["d"] == ""


@pytest.mark.parametrize("text", ['"' * 4000, '"\\' * 2000, "'" * 3999, '"a" ' * 1000, "\\" * 4000])
def test_quotes_that_never_match_take_no_time(text: str) -> None:
    began = time.process_time()
    data = "\n".join([text] * (BYTES_LIMIT // (len(text) + 1))).encode()
    with pytest.raises(SyntaxProblemError):
        parse(data)
    lines_of(data.decode())
    assert time.process_time() - began < 3 * SECOND


@pytest.mark.parametrize("line", ["a{} = 1", "[a{}]", "[[a]]", "x{} = [[[]]]", 'k{} = {{a = "b"}}'])
def test_a_full_file_of_any_kind_of_line_is_read_in_seconds(line: str) -> None:
    count = BYTES_LIMIT // 24
    data = "\n".join(line.format(f"{number:06}") for number in range(count)).encode()
    began = time.process_time()
    document = parse(data)
    checker = Checker(lambda _key: Place("file"))
    checker.check(document)
    assert len(checker.problems) <= MOST
    assert time.process_time() - began < 5 * SECOND


def test_the_line_of_a_key_is_where_it_begins() -> None:
    text = """
a = 1
[b]
"c d" = [
  1,
]
e.f = 2
[[g]]
h = 3
[[g]]
h = 4
[g.i]
j = 5
[[g.k]]
l = 6
"""
    lines = lines_of(text)
    assert lines["a",] == 2
    assert lines["b", "c d"] == 4
    assert lines["b", "e", "f"] == 7
    assert (lines["g", 0, "h"], lines["g", 1, "h"]) == (9, 11)
    assert lines["g", 1, "i", "j"] == 13
    assert lines["g", 1, "k", 0, "l"] == 15


PIECES = st.sampled_from(
    [
        "[",
        "]",
        "[[",
        "]]",
        "=",
        "\n",
        '"',
        "'",
        '"""',
        ".",
        "a",
        "sinks",
        "type",
        "#",
        "{",
        "}",
        ",",
        "1",
        "\\",
        " ",
        "hub",
    ]
)


@settings(max_examples=100)
@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=60).map("".join)))
def test_any_text_is_a_document_or_a_problem(text: str) -> None:
    data = text.encode("utf-8", "replace")
    try:
        document = parse(data)
    except SyntaxProblemError:
        return
    assert document == tomllib.loads(data.decode())
    lines = lines_of(data.decode())
    assert all(1 <= number <= text.count("\n") + 1 for number in lines.values())
    checker = Checker(lambda _key: Place("file"))
    checker.check(document)


VALUES = st.recursive(
    st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=10), st.dates(), st.times(), st.datetimes()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=5), inner, max_size=2)),
    max_leaves=3,
)
NAMES = st.sampled_from(
    [
        "organisation",
        "labels",
        "schedule",
        "tables",
        "users",
        "sinks",
        "type",
        "name",
        "url",
        "privacy",
        "drop",
        "interval",
    ]
)


TABLE = st.dictionaries(NAMES, VALUES, max_size=3)


@settings(max_examples=60)
@given(st.dictionaries(NAMES, st.one_of(VALUES, TABLE, st.lists(TABLE, max_size=2)), max_size=4))
def test_any_document_is_settings_or_problems(document: dict[str, object]) -> None:
    checker = Checker(lambda _key: Place("file"))
    checker.check(document)
    assert all(str(each) for each in checker.problems)
