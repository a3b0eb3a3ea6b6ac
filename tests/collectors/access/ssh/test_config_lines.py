from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.access.ssh.config_lines import ConfigLine, parse_config_line, split
from collectors.contract import MalformedError


@pytest.mark.parametrize(
    "text",
    [
        "Port 22",
        "port\t22",
        "PORT=22",
        "Port = 22",
        "Port  =22",
        '"Port" 22',
        'Port "22"',
        "Port '22'",
        "  \tPort 22  \t\r",
        "Port 22 # the usual",
        "Port 22\f",
        "=Port 22",
    ],
)
def test_one_directive_can_be_written_in_many_ways(text: str) -> None:
    assert parse_config_line(text) == ConfigLine("port", ("22",))


@pytest.mark.parametrize("text", ["", "  ", "# Port 22", "   #Port 22", "\t\r"])
def test_empty_lines_and_comments_are_passed_over(text: str) -> None:
    assert parse_config_line(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Port",
        "Port ",
        "Port=",
        "Port # 22",
        'Banner "/etc/issue',
        "Banner 'x",
        "pass:word is",
        "-x y",
        "Ünicode x",
        '"Port 22',
    ],
)
def test_a_keyword_without_argument_an_odd_one_and_open_quotes_are_malformed(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_config_line(text)


def test_quotes_and_backslashes_are_taken_out_as_openssh_does() -> None:
    assert split(
        r"a\ b "
        r'"c d" '
        r"e\"f 'g\'h' x\y i#j '' # k"
    ) == ("a b", "c d", 'e"f', "g'h", r"x\y", "i#j", "")


def test_the_whole_rest_of_a_line_is_a_command() -> None:
    line = parse_config_line('ForceCommand  /bin/sh -c "a # b"  c ')
    assert line == ConfigLine("forcecommand", ('/bin/sh -c "a # b"  c',))


def test_a_version_addendum_ends_at_a_comment() -> None:
    assert parse_config_line("VersionAddendum hello  world # x") == ConfigLine("versionaddendum", ("hello  world",))


@given(st.text(max_size=200) | st.text(alphabet="Port =\"'\\#2\t\r\f\0", max_size=200))
def test_any_text_gives_a_directive_or_our_error(text: str) -> None:
    try:
        line = parse_config_line(text)
    except MalformedError:
        return
    assert line is None or (line.keyword and line.arguments)
