"""apk's installed database and world file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.contract import Gap, MalformedError
from collectors.reading.host import Host
from collectors.software import apk
from collectors.software.apk import INSTALLED, WORLD, parse_package, parse_world
from collectors.software.package import Package
from collectors.software.purl import distribution
from tests.collectors.software.conftest import Plant

ALPINE = distribution({"ID": "alpine", "VERSION_ID": "3.20.3"})
DATABASE = INSTALLED[0]

LIBCRYPTO = """\
C:Q1ZlY8tGLuF8kmPLCmUYyGXPYLx5k=
P:libcrypto3
V:3.3.2-r0
A:x86_64
S:1696341
I:4575232
T:Crypto library from openssl
U:https://www.openssl.org/
L:Apache-2.0
o:openssl
m:Ariadne Conill <ariadne@dereferenced.org>
t:1725451523
c:d4ba4e8d0a4ed6b0c5b8d1e6bd1a0b3cba66aa34
D:so:libc.musl-x86_64.so.1
p:so:libcrypto.so.3=3
r:libcrypto1.1
s:edge
F:etc
F:etc/ssl
M:0:0:0755
R:openssl.cnf
a:0:0:644
Z:Q1wGuxVEOK9iGLj1i8D3BSBnT7MJA=
F:P:evil
R:V:9
"""
BUSYBOX = """\
C:Q1Cw40/gXr9ZGDmgHPKDAnsmWDfbc=
P:busybox
V:1.36.1-r29
A:x86_64
S:509600
I:962560
T:Size optimized toolbox
L:GPL-2.0-only
o:busybox
m:Sören Tempel <soeren+alpine@soeren-tempel.net>
t:1717607352
f:fs
F:bin
R:busybox
"""


def read(host: Host) -> tuple[list[Package], list[Gap]]:
    found = list(apk.packages(host, DATABASE, ALPINE))
    rows = [each for each in found if isinstance(each, Package)]
    return rows, [each for each in found if isinstance(each, Gap)]


def test_each_column_of_a_row(host: Host, plant: Plant) -> None:
    plant(DATABASE, f"{LIBCRYPTO}\n{BUSYBOX}\n")
    plant(WORLD, "alpine-base\nbusybox>1\nlibressl!\n!libcrypto3\n")
    rows, gaps = read(host)
    assert gaps == []
    assert rows == [
        Package(
            purl="pkg:apk/alpine/libcrypto3@3.3.2-r0?arch=x86_64&distro=alpine-3.20.3&upstream=openssl",
            database=DATABASE,
            instance=1,
            name="libcrypto3",
            version="3.3.2-r0",
            arch="x86_64",
            source_name="openssl",
            source_version="3.3.2-r0",
            vendor=None,
            maintainer="Ariadne Conill <ariadne@dereferenced.org>",
            licence="Apache-2.0",
            origin="edge",
            module=None,
            size_bytes=4575232,
            built="2024-09-04T12:05:23Z",
            installed=None,
            manual=False,
            state="installed",
            wanted=None,
            needs_reinstall=None,
        ),
        rows[1],
    ]
    busybox = rows[1]
    assert (busybox.state, busybox.manual, busybox.maintainer) == (
        "broken",
        True,
        "Sören Tempel <soeren+alpine@soeren-tempel.net>",
    )
    assert busybox.purl == "pkg:apk/alpine/busybox@1.36.1-r29?arch=x86_64&distro=alpine-3.20.3"


def test_without_a_world_file_nobody_knows_what_was_asked_for(host: Host, plant: Plant) -> None:
    plant(DATABASE, f"{BUSYBOX}\n")
    rows, gaps = read(host)
    assert [each.manual for each in rows] == [None]
    assert gaps == [Gap(WORLD, "absent", gaps[0].detail)]


def test_a_damaged_block_is_a_gap_with_its_line_and_the_others_are_rows(host: Host, plant: Plant) -> None:
    plant(WORLD, "")
    plant(DATABASE, f"{BUSYBOX}\nP:half\nF:etc\n\n{LIBCRYPTO}\nP:cut\nV:1.")
    rows, gaps = read(host)
    assert [each.name for each in rows] == ["busybox", "libcrypto3"]
    start = BUSYBOX.count("\n") + 2
    assert gaps == [
        Gap(DATABASE, "malformed", "expected a version in the field V, found none", line=start),
        Gap(
            DATABASE,
            "malformed",
            "expected a whole block with a newline at its end, found a cut one",
            line=start + 3 + LIBCRYPTO.count("\n") + 1,
        ),
    ]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("P:busybox", "P:busy/box"), "expected a package name in the field P, found another form"),
        (("V:1.36", "V:1 36"), "expected a version in the field V, found another form"),
        (("A:x86_64", "A:x86 64"), "expected an architecture in the field A, found another form"),
        (("I:962560", "I:-1"), "expected an installed size in the field I, found another form"),
        (("t:1717607352", "t:٣"), "expected a build time in the field t, found another form"),
        (("T:Size", "Size"), "expected a letter and a colon, found another line"),
        (("Tempel", "Tem\0pel"), "expected text, found a NUL byte"),
    ],
)
def test_a_field_not_in_its_form_is_said_without_quoting_it(change: tuple[str, str], complaint: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_package(BUSYBOX.replace(*change, 1), DATABASE, ALPINE, None)
    assert str(caught.value) == complaint


def test_a_name_in_upper_case_stays_as_it_is_and_is_lowered_in_its_purl_only() -> None:
    row = parse_package("P:R\nV:4.4.0-r0\n", DATABASE, ALPINE, None)
    assert (row.name, row.purl, row.arch) == ("R", "pkg:apk/alpine/r@4.4.0-r0?distro=alpine-3.20.3", None)


def test_conditions_and_tags_of_the_world_are_not_part_of_a_name() -> None:
    text = "a\nb=1.2-r3\nc>=1\nd~1\ne@edge\n!f\n.build-deps=20240101.1\n so:libx.so.1 \n"
    assert parse_world(text) == {"a", "b", "c", "d", "e", ".build-deps", "so:libx.so.1"}


def test_both_places_of_the_database_are_one_if_they_are_the_same_file(host: Host, plant: Plant) -> None:
    real = plant(DATABASE, "")
    assert apk.databases(host) == [DATABASE]
    other = plant(INSTALLED[1], "")
    assert apk.databases(host) == list(INSTALLED)
    other.unlink()
    other.hardlink_to(real)
    assert apk.databases(host) == [DATABASE]


@given(st.text(max_size=300))
def test_any_text_gives_a_row_or_our_error(text: str) -> None:
    for each in (text, f"P:a\nV:1\n{text}\n"):
        try:
            row = parse_package(each, DATABASE, ALPINE, parse_world(text))
        except MalformedError:
            continue
        assert row.purl.startswith("pkg:apk/alpine/")
