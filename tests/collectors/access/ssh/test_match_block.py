from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.access.ssh.match_block import (
    Criterion,
    Person,
    concerns,
    matches,
    parse_match,
    scope_text,
    unknown_criteria,
    within,
)
from collectors.contract import MalformedError

BOB = Person("bob", frozenset({"bob", "staff"}))
GROUPS = frozenset({"bob", "staff", "wheel"})


def test_criteria_come_in_pairs_or_with_an_equals_sign() -> None:
    assert parse_match(("User", "bob,alice", "address=10.0.0.0/8")) == (
        Criterion("user", "bob,alice"),
        Criterion("address", "10.0.0.0/8"),
    )


def test_all_and_invalid_user_have_no_argument() -> None:
    assert parse_match(("ALL",)) == (Criterion("all"),)
    assert parse_match(("invalid-user", "Address", "*")) == (Criterion("invalid-user"), Criterion("address", "*"))


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("user",),
        ("user", ""),
        ("user=",),
        ("all", "user", "bob"),
        ("all=x",),
        ("invalid-user=",),
        ("group", "a", "host"),
    ],
)
def test_a_match_line_that_sshd_refuses_is_malformed(words: tuple[str, ...]) -> None:
    with pytest.raises(MalformedError):
        parse_match(words)


def test_exec_is_kept_as_text_and_known_for_foreign() -> None:
    scope = parse_match(("exec", "touch /tmp/ran", "user", "bob"))
    assert scope_text(scope) == 'exec "touch /tmp/ran" user bob'
    assert unknown_criteria(scope)
    assert not unknown_criteria(parse_match(("user", "bob", "version", "OpenSSH_9*")))


def test_a_block_inside_an_include_needs_the_outer_condition_too() -> None:
    user, address, everyone = Criterion("user", "bob"), Criterion("address", "10.*"), Criterion("all")
    assert within((), (user,)) == (user,)
    assert within((user,), (address,)) == (user, address)
    assert within((user,), (everyone,)) == (user,)
    assert within((), (everyone,)) == (everyone,)
    assert within((everyone,), (everyone,)) == (everyone,)


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (("user", "bob"), "yes"),
        (("user", "b?b"), "yes"),
        (("user", "b*"), "yes"),
        (("user", "alice"), "no"),
        (("user", "*,!bob"), "no"),
        (("user", "!alice"), "no"),
        (("group", "staff"), "yes"),
        (("group", "wheel"), "no"),
        (("group", "*,!staff"), "no"),
        (("group", "directory-admins"), "perhaps"),
        (("group", "wheel,directory-admins"), "perhaps"),
        (("all",), "yes"),
        (("invalid-user",), "no"),
        (("address", "10.0.0.0/8"), "perhaps"),
        (("user", "bob", "host", "*.example.org"), "perhaps"),
        (("user", "alice", "host", "*.example.org"), "no"),
        (("exec", "true"), "perhaps"),
    ],
)
def test_a_block_concerns_a_user_surely_perhaps_or_not(words: tuple[str, ...], verdict: str) -> None:
    assert concerns(parse_match(words), BOB, GROUPS) == verdict


@given(st.text(alphabet="ab*?", max_size=8), st.text(alphabet="ab", max_size=8))
def test_patterns_fit_as_their_definition_says(pattern: str, name: str) -> None:
    def fits(pattern: str, name: str) -> bool:
        if not pattern:
            return not name
        if pattern[0] == "*":
            return fits(pattern[1:], name) or (bool(name) and fits(pattern, name[1:]))
        return bool(name) and pattern[0] in ("?", name[0]) and fits(pattern[1:], name[1:])

    assert matches(pattern, name) == fits(pattern, name)


def test_a_pattern_of_many_stars_does_not_take_for_ever() -> None:
    started = time.process_time()
    assert not matches("*a" * 200 + "b", "a" * 5_000)
    assert time.process_time() - started < 2


def test_a_question_mark_is_one_byte() -> None:
    assert not matches("j?", "jé")
    assert matches("j??", "jé")
    assert matches("j*", "jé")
