from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.access.ssh.option_values import check_value, expiry
from collectors.contract import MalformedError

# Each was taken by sshd 9.2, which let the key in; the user chooses them.
TAKEN = [
    ("permitopen", "host/80"),
    ("permitopen", "[::1]/80"),
    ("permitopen", "[::1]:80"),
    ("permitopen", "h: 80"),
    ("permitopen", "h:\t+80"),
    ("permitopen", "h:" + "0" * 5000 + "80"),
    ("permitopen", ":80"),
    ("permitopen", "*:*"),
    ("permitopen", "h:914c/g"),
    ("permitopen", "h" * 1024 + ":80"),
    ("permitlisten", "000080"),
    ("permitlisten", " 80"),
    ("permitlisten", "h: 80"),
    ("permitlisten", "*"),
    ("tunnel", " 5"),
    ("tunnel", "+5"),
    ("tunnel", "-0"),
    ("tunnel", "00000000001"),
    ("tunnel", "2147483645"),
    ("tunnel", "ANY"),
    ("environment", "A" * 300 + "=x"),
    ("environment", "A="),
    ("expiry-time", "2999 1 1"),
    ("expiry-time", "2999\t1\v1"),
    ("expiry-time", "2999123123 0"),
    ("expiry-time", "29991231235960"),
    ("expiry-time", "99991231235961"),
    ("from", "!10.0.0.1,*"),
    ("command", ""),
]

PASSED_OVER = [
    ("permitopen", "host"),
    ("permitopen", "[a]b:80"),
    ("permitopen", "[a:80"),
    ("permitopen", "[a]"),
    ("permitopen", "::1:80"),
    ("permitopen", "h:"),
    ("permitopen", "h:0"),
    ("permitopen", "h:-80"),
    ("permitopen", "h:80 "),
    ("permitopen", "h:" + "9" * 30),
    ("permitopen", "h:65536"),
    ("permitopen", "h" * 1025 + ":80"),
    ("permitopen", "\u00e9" * 600 + ":80"),
    ("permitlisten", ""),
    ("permitlisten", "0"),
    ("tunnel", "2147483646"),
    ("tunnel", "2147483647"),
    ("tunnel", "-1"),
    ("tunnel", ""),
    ("tunnel", "1:2"),
    ("tunnel", "\u0663"),
    ("environment", "A B=x"),
    ("environment", "=x"),
    ("expiry-time", "2999 1 "),
    ("expiry-time", "29991301"),
    ("expiry-time", "29990132"),
    ("expiry-time", "2999010124"),
    ("expiry-time", "299901012400"),
    ("expiry-time", "29990101235962"),
    ("expiry-time", "\u0662999" + "0101"),
    ("from", ""),
    ("from", "!10.0.0.1,"),
]


@pytest.mark.parametrize(("name", "value"), TAKEN)
def test_a_value_that_sshd_takes_is_no_reason_to_refuse(name: str, value: str) -> None:
    check_value(name, value)


@pytest.mark.parametrize(("name", "value"), PASSED_OVER)
def test_a_value_that_sshd_passes_over_is_malformed(name: str, value: str) -> None:
    with pytest.raises(MalformedError):
        check_value(name, value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20260131", "2026-01-31T00:00:00"),
        ("20260131Z", "2026-01-31T00:00:00Z"),
        ("202601311530", "2026-01-31T15:30:00"),
        ("20260131153059utc", "2026-01-31T15:30:59Z"),
        ("20260231", "2026-03-03T00:00:00"),
        ("2026 1 2", "2026-01-02T00:00:00"),
        ("20261231235960", "2027-01-01T00:00:00"),
        ("99991231235960", "9999-12-31T23:59:59"),
    ],
)
def test_an_expiry_time_says_whether_it_is_utc(value: str, expected: str) -> None:
    assert expiry(value) == expected


@given(
    st.sampled_from(["permitopen", "permitlisten", "tunnel", "environment", "expiry-time", "from"]),
    st.text(max_size=60) | st.text(alphabet="019 +-:/[]*!,ZaA=", max_size=20),
)
def test_any_value_is_taken_or_our_error(name: str, value: str) -> None:
    with contextlib.suppress(MalformedError):
        check_value(name, value)
