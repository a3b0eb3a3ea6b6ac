from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.access.ssh.key_options import Option, parse_options
from collectors.contract import MalformedError


def test_flags_and_values_keep_their_order_and_lose_their_case() -> None:
    assert parse_options('Restrict,no-PTY,pty,Command="run it",FROM="10.0.0.0/8,*.example.org"') == (
        Option("restrict"),
        Option("no-pty"),
        Option("pty"),
        Option("command", "run it"),
        Option("from", "10.0.0.0/8,*.example.org"),
    )


def test_a_quote_in_a_value_is_escaped_and_nothing_else_is() -> None:
    (option,) = parse_options(r'command="sh -c \"echo a,b\" \\ c:\dir"')
    assert option.value == r'sh -c "echo a,b" \\ c:\dir'


def test_a_comma_too_many_is_passed_over_as_sshd_does() -> None:
    assert parse_options(",pty,,user-rc,") == (Option("pty"), Option("user-rc"))


def test_environment_may_stand_several_times() -> None:
    assert len(parse_options('environment="A=1",environment="B=2"')) == 2


REFUSED = [
    "hunter2",
    "ptyx",
    "no-restrict",
    "no-cert-authority",
    "command",
    "command=run",
    'command="run',
    'command="a",command="b"',
    'from="a",from="b"',
    'principals="a",principals="b"',
    'environment="NO EQUALS"',
    'environment="=nameless"',
    'permitopen="host"',
    'permitopen="host:65536"',
    'permitlisten="0"',
    'tunnel="x"',
    'environment="A-B=1"',
    'expiry-time="tomorrow"',
    'expiry-time="20261301"',
    'expiry-time="20260132"',
    'pty"',
    "pty;user-rc",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_sshd_refuses_is_malformed_and_not_quoted(text: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_options(text)
    assert "hunter2" not in str(caught.value)


@given(st.text(alphabet='abcdefghi-="\\, \t\n\0é', max_size=200))
def test_any_text_gives_options_or_our_error(text: str) -> None:
    try:
        options = parse_options(text)
    except MalformedError:
        return
    assert all(each.name for each in options)


def test_a_megabyte_of_options_takes_no_more_than_linear_time() -> None:
    assert len(parse_options("pty," * 250_000)) == 250_000
    for text in ('command="' + '\\"' * 500_000, 'permitopen="' + "0" * 1_000_000 + 'x"', "a-" * 500_000):
        with pytest.raises(MalformedError):
            parse_options(text)
