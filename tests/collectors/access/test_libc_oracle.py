"""Lines of passwd, group, shadow and gshadow against the C library, which is whom login and sshd ask."""

from __future__ import annotations

import ctypes
import platform
import re
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from collectors.access.groups import group_on, gshadow_on
from collectors.access.password_status import parse_shadow, shadow_on
from collectors.access.users import user_on
from collectors.contract import MalformedError
from collectors.reading.nss_files import entry, listed

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the C library whose rules these are")

TEXT, ID, LONG, LIST = ctypes.c_char_p, ctypes.c_uint32, ctypes.c_long, ctypes.POINTER(ctypes.c_char_p)


class Passwd(ctypes.Structure):
    _fields_ = tuple(zip("nPugGds", (TEXT, TEXT, ID, ID, TEXT, TEXT, TEXT), strict=True))


class Group(ctypes.Structure):
    _fields_ = tuple(zip("nPgm", (TEXT, TEXT, ID, LIST), strict=True))


class Shadow(ctypes.Structure):
    _fields_ = tuple(zip("nPlmxwief", (TEXT, TEXT, *[LONG] * 7), strict=True))


class GroupShadow(ctypes.Structure):
    _fields_ = tuple(zip("nPam", (TEXT, TEXT, LIST, LIST), strict=True))


LIBC = ctypes.CDLL(None)
SHAPES = {"fgetpwent": Passwd, "fgetgrent": Group, "fgetspent": Shadow, "fgetsgent": GroupShadow}
NOBODY = 2**32 - 1
"""What glibc makes of an id that is too large; Debian's refuses the line."""

R = TypeVar("R")


def told(function: str, line: str) -> list[Any] | None:
    """Return the fields that the C library reads from a file of one line, None if there is no entry in it."""
    read = getattr(LIBC, function)
    read.restype, read.argtypes = ctypes.POINTER(SHAPES[function]), [ctypes.c_void_p]
    LIBC.fmemopen.restype = ctypes.c_void_p
    data = line.encode() + b"\n"
    stream = ctypes.c_void_p(LIBC.fmemopen(data, ctypes.c_size_t(len(data)), b"r"))
    try:
        found = read(stream)
        return [plain(getattr(found.contents, each[0])) for each in SHAPES[function]._fields_] if found else None
    finally:
        LIBC.fclose(stream)


def plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, LIST):
        return value
    texts: list[str] = []
    while (each := value[len(texts)]) is not None:
        texts.append(each.decode())
    return tuple(sorted(set(texts)))


def ours(parse: Callable[[str, int], R | None], line: str) -> R | None:
    try:
        return parse(line, 1)
    except MalformedError:
        return None


BITS = ["a", "x", "*", "", " ", "\t", "\r", ":", ",", "0", "7", "+", "-", "#", " b", "c ", "2147483648", "4294967296"]
ANY = st.lists(st.sampled_from(BITS), max_size=12).map("".join)
FIELD = st.lists(st.sampled_from([each for each in BITS if each != ":"]), max_size=3).map("".join)
LINES = st.one_of(ANY, st.lists(FIELD, min_size=2, max_size=10).map(":".join))
DAYS = st.sampled_from(["", "1", " 2", "-1", "+3", "4 ", "99999999999", "3000000000", " "])
SHADOWS = st.one_of(LINES, st.lists(DAYS, min_size=1, max_size=9).map(lambda days: ":".join(["a", "x", *days])))


def plain_entry(line: str) -> None:
    """Leave out lines for directory servers, and comments, which are entries to others than glibc."""
    assume(not entry(line).startswith(("+", "-", "#")))


@given(LINES)
@example("  toor:x:0:0::/root:/bin/sh")
@example("six:x:0:0:six:/root")
@example("four:x:0:0")
@example("three:x:0")
@example("a:x: 0:\t+0::/:/bin/sh:more")
@example("a:x:-0:-18446744073709551615::/:")
@example("a:x:7 :7::/:")
@example("a:x:" + "0" * 5000 + ":1::/:")
@example("a:x:" + "9" * 5000 + ":1::/:")
def test_an_account_is_the_one_that_glibc_reads(line: str) -> None:
    plain_entry(line)
    row, theirs = ours(user_on, line), told("fgetpwent", line)
    if row is None:
        assert theirs is None or NOBODY in theirs
    else:
        assert theirs is not None
        assert [row.name, row.uid, row.gid, row.home, row.shell] == [*theirs[:1], *theirs[2:4], *theirs[5:]]
        assert row.gecos_present == bool(theirs[4])


@given(LINES)
@example("wheel:x:10:alice, bob")
@example("wheel:x:10:a ,\tb,, ,c d,a:b")
@example(" sudo:x:27")
def test_a_group_and_its_members_are_those_that_glibc_reads(line: str) -> None:
    plain_entry(line)
    row, theirs = ours(group_on, line), told("fgetgrent", line)
    if row is None:
        assert theirs is None or NOBODY in theirs
    else:
        assert theirs is not None
        assert [row.name, row.gid, row.members] == [theirs[0], *theirs[2:]]


@given(LINES)
@example("wheel:!:: alice, bob")
@example("wheel:!:ann")
def test_a_line_of_gshadow_is_read_as_glibc_reads_it(line: str) -> None:
    plain_entry(line)
    row, theirs = ours(gshadow_on, line), told("fgetsgent", line)
    if row is None:
        assert theirs is None or ":" not in entry(line)
    else:
        assert theirs is not None
        assert [row.name, row.admins, row.members] == [theirs[0], *theirs[2:]]


@given(SHADOWS)
@example(" toor::19000:0:99999:7:::")
@example("a:x:1:2:3")
@example("a:x:1:2:")
@example("a:x:1:2:: ")
@example("a:x:1:2:3:4:5:6")
@example("a:x:1:2:3:4:5:6:x")
@example("a:x:1:2:3:4:5:6:7:")
def test_a_line_of_shadow_is_read_as_glibc_reads_it(line: str) -> None:
    plain_entry(line)
    row, theirs = ours(shadow_on, line), told("fgetspent", line)
    if row is None:
        assert theirs is None
    elif theirs is None:
        assert re.search("-|[0-9]{10}", line)  # Debian's glibc refuses what is not below 2^32
    else:
        days = (row.changed_day, row.min_days, row.max_days, row.warn_days, row.inactive_days, row.expires_day)
        assert [row.user, *days] == [theirs[0], *(None if each < 0 else each for each in theirs[2:8])]


def test_what_glibc_skips_is_no_part_of_a_name() -> None:
    assert entry(" \t\v\f\rtoor") == "toor"
    assert listed(" b,\ta,,  ,c ") == ("a", "b", "c ")
    assert parse_shadow(" toor::1::::::", 1).user == "toor"
