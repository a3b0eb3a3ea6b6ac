"""Names of ids from the host's own files; what those files cannot say is not guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.contract import Gap
from collectors.reading.host import Host
from collectors.reading.owners import directory_sources, parse_names, read_owners
from tests.collectors.reading.planting import Plant


def test_of_two_lines_with_one_number_the_first_names_it() -> None:
    assert parse_names(b"root:x:0:0::/:\ntoor:x:0:0::/:\n") == {0: "root"}


@pytest.mark.parametrize("line", [b"+::::::", b"-bob:x:5", b"#bob:x:5", b"bob:x:", b"bob:x:-1", b"b", b"b:x:\xd9\xa3"])
def test_a_line_without_a_number_names_nobody(line: bytes) -> None:
    assert parse_names(line + b"\n") == {}


def test_a_line_behind_blanks_names_its_number() -> None:
    assert parse_names(b" toor:x: 0:0::/:\n # old:x:1:\n") == {0: "toor"}


@given(st.binary())
def test_any_bytes_are_read(data: bytes) -> None:
    assert all(number >= 0 for number in parse_names(data))


def test_unreadable_and_unknown_are_two_things(host: Host, plant: Plant) -> None:
    plant("/etc/passwd", "root:x:0:0::/:\n")
    owners = read_owners(host)
    assert (owners.user(0), owners.user(1), owners.users, owners.groups) == ("root", None, {0: "root"}, None)
    assert owners.gaps == (Gap("/etc/group", "absent"),)


def test_directory_services_are_those_that_are_asked_for_users_or_groups(host: Host, plant: Plant) -> None:
    assert directory_sources(host) == ()
    plant("/etc/nsswitch.conf", "passwd:\tfiles systemd sss\ngroup: compat [SUCCESS=merge] winbind\nhosts: dns nis\n")
    assert directory_sources(host) == ("sss", "winbind")
