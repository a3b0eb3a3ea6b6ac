"""How long to wait: faults N1, N2 and N12."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.delivery.backoff import ASKED_CAP_S, CAP_S, asked_s, delay_s

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def test_the_longest_wait_doubles_from_a_second_to_a_quarter_of_an_hour() -> None:
    longest = [delay_s(failures, lambda _low, high: high) for failures in range(1, 13)]
    assert longest == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


@given(st.integers(1, 10**9), st.randoms())
def test_any_wait_is_within_the_cap(failures: int, dice: random.Random) -> None:
    assert 0 <= delay_s(failures, dice.uniform) <= CAP_S


def test_ten_thousand_hosts_do_not_come_back_together() -> None:
    dice = random.Random(1)  # noqa: S311  the same dice each time
    in_a_second = [0] * 900
    for _ in range(10_000):
        in_a_second[min(899, int(delay_s(30, dice.uniform)))] += 1
    assert max(in_a_second) < 40


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("3600", 3600),
        ("3601", 3600),
        ("999999999999999999", 3600),
        ("9" * 5000, None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("1e3", None),
        ("\u0661", None),
        ("", None),
        ("soon", None),
        ("Thu, 01 Jan 2026 00:02:00 GMT", 120),
        ("Thu, 01 Jan 2026 23:00:00 GMT", 3600),
        ("Wed, 31 Dec 2025 23:00:00 GMT", None),
        ("Thu, 01 Jan 99999 00:02:00 GMT", None),
        ("Thu, 99 Foo 2026 00:02:00 GMT", None),
        (None, None),
    ],
)
def test_a_server_is_heard_if_it_asks_sensibly(text: str | None, seconds: float | None) -> None:
    assert asked_s(text, lambda: NOW) == seconds


@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda data: data.decode("latin-1")))
def test_whatever_a_server_asks_the_wait_is_none_or_within_an_hour(text: str) -> None:
    found = asked_s(text, lambda: NOW)
    assert found is None or 0 <= found <= ASKED_CAP_S
