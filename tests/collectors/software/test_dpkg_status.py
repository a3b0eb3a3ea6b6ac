"""One stanza of dpkg's status: the quick way, the careful way, and what neither takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.software import dpkg_status
from collectors.software.deb822 import Lines, StanzaError, fields, stanzas
from collectors.software.dpkg_status import FIELDS, HEAD, Entry, parse_stanza

WHOLE = """\
Package: libc6
Essential: yes
Status: hold ok installed
Priority: optional
Section: libs
Installed-Size: 12986
Origin: Example
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Architecture: amd64
Multi-Arch: same
Source: glibc (2.36-9)
Version: 2.36-9+deb12u4
Replaces: libc6-amd64
Description: GNU C Library: Shared libraries
 Version: 0
"""
LIBC = Entry(
    name="libc6",
    wanted="hold",
    flag="ok",
    state="installed",
    size_kib="12986",
    origin="Example",
    maintainer="GNU Libc Maintainers <debian-glibc@lists.debian.org>",
    arch="amd64",
    multi_arch="same",
    source="glibc",
    source_version="2.36-9",
    version="2.36-9+deb12u4",
)


def careful(text: str) -> Entry:
    return dpkg_status._careful(fields(text, FIELDS))


def test_every_field_of_a_stanza_is_read() -> None:
    assert HEAD.match(WHOLE)
    assert parse_stanza(WHOLE) == LIBC
    assert careful(WHOLE) == LIBC


def test_fields_in_another_order_and_case_are_read_with_care() -> None:
    shuffled = "".join(f"{line}\n" for line in reversed(WHOLE.split("\n")[:12])).replace("Version:", "VERSION :")
    assert not HEAD.match(shuffled)
    assert parse_stanza(shuffled) == LIBC


word = st.from_regex(r"[a-z0-9][a-z0-9+.-]{0,12}", fullmatch=True)
version = st.from_regex(r"([0-9]:)?[0-9][A-Za-z0-9.+~-]{0,12}", fullmatch=True)
people = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).map(str.strip).filter(bool)


@st.composite
def written_by_dpkg(draw: st.DrawFn) -> str:
    status = " ".join(
        draw(st.sampled_from(list(each))) for each in (dpkg_status.WANTED, dpkg_status.FLAGS, dpkg_status.STATES)
    )
    source = draw(st.none() | word | st.tuples(word, version).map(lambda both: f"{both[0]} ({both[1]})"))
    lines = {
        "Package": draw(word),
        "Essential": draw(st.none() | st.just("yes")),
        "Status": status,
        "Section": draw(st.none() | word),
        "Installed-Size": draw(st.none() | st.integers(0, 10**9).map(str)),
        "Origin": draw(st.none() | people),
        "Maintainer": draw(st.none() | people),
        "Architecture": draw(st.sampled_from(["amd64", "all", "kfreebsd-i386"])),
        "Multi-Arch": draw(st.none() | st.sampled_from(["same", "foreign", "allowed", "no"])),
        "Source": source,
        "Version": draw(version),
        "Depends": draw(st.none() | st.just("libc6 (>= 2.3)")),
    }
    return "".join(f"{name}: {value}\n" for name, value in lines.items() if value is not None)


@given(written_by_dpkg())
def test_the_quick_way_and_the_careful_way_agree_on_what_dpkg_writes(text: str) -> None:
    assert bool(HEAD.match(text)) == (" not-installed\n" not in text)
    assert parse_stanza(text) == careful(text)


@given(written_by_dpkg(), st.data())
def test_the_two_ways_agree_on_stanzas_with_damage_before_the_version(text: str, data: st.DataObject) -> None:
    head = text.index("\nVersion: ")
    at = data.draw(st.integers(0, head))
    damaged = text[:at] + data.draw(st.sampled_from(["\n", " ", "X", ":", ""])) + text[at + 1 :]
    assert outcome(parse_stanza, damaged) == outcome(careful, damaged)


def outcome(parse: object, text: str) -> Entry | str:
    assert callable(parse)
    try:
        entry = parse(text)
    except StanzaError as error:
        return str(error)
    assert isinstance(entry, Entry)
    return entry


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("Version: 2.36-9+deb12u4\n", ""), "expected a version in the field Version of libc6, found none"),
        (("Version: 2.36", "Version: 2 36"), "expected a version in the field Version of libc6, found another form"),
        (("Version: 2.36", "Version: 2/36"), "expected a version in the field Version of libc6, found another form"),
        (("Package: libc6\n", ""), "expected a package name in the field Package, found none"),
        (("libc6\n", "../libc6\n"), "expected a package name in the field Package, found another form"),
        (("hold ok", "hold"), "expected three known words in the field Status, found others"),
        (("hold ok", "halt ok"), "expected three known words in the field Status, found others"),
        (("12986", "12 kB"), "expected a number in the field Installed-Size, found another form"),
        (("amd64\n", "amd 64\n"), "expected an architecture in the field Architecture, found another form"),
        (("(2.36-9)", "(2.36-9"), "expected a name and perhaps a version in the field Source, found another form"),
        (("GNU Libc", "GNU\0Libc"), "expected text, found a NUL byte"),
        (("Priority: ", "Priority "), "expected a field name and a colon, found a line without a colon"),
    ],
)
def test_a_field_not_in_its_form_is_said_without_quoting_it(change: tuple[str, str], complaint: str) -> None:
    with pytest.raises(StanzaError) as caught:
        parse_stanza(WHOLE.replace(*change, 1))
    assert str(caught.value) == complaint


def test_a_stanza_that_the_file_ends_within_is_cut_and_not_half_a_version() -> None:
    cut = WHOLE[: WHOLE.index("+deb12u4")]
    with pytest.raises(StanzaError, match="a cut one"):
        parse_stanza(cut)


def test_a_version_that_goes_on_in_the_next_line_is_not_taken_for_whole_by_the_quick_way() -> None:
    assert not HEAD.match(WHOLE.replace("Replaces:", " Replaces:"))


def test_only_a_package_that_is_not_installed_may_lack_a_version() -> None:
    entry = parse_stanza("Package: gone\nStatus: purge ok not-installed\n")
    assert (entry.name, entry.state, entry.version) == ("gone", "not-installed", "")
    with pytest.raises(StanzaError, match="a version in the field Version of half, found none"):
        parse_stanza("Package: half\nStatus: install reinstreq half-installed\n")


def test_an_error_names_no_more_of_a_package_than_a_hundred_letters() -> None:
    with pytest.raises(StanzaError, match=r"of a{100}, found none"):
        parse_stanza(f"Package: {'a' * 1000}\nStatus: install ok installed\n")


def test_the_words_of_a_status_may_be_in_either_case_as_for_dpkg() -> None:
    assert parse_stanza(WHOLE.replace("hold ok", "Hold OK")) == LIBC


def test_a_carriage_return_behind_a_value_is_no_part_of_it_as_for_dpkg() -> None:
    assert parse_stanza(WHOLE.replace("\n", "\r\n").replace("\r\n\r\n", "\n\n")) == LIBC


def test_names_are_lowered_as_dpkg_does() -> None:
    assert parse_stanza(WHOLE.replace("libc6", "LibC6", 1)) == LIBC


def test_a_maintainer_that_is_not_utf8_is_kept_with_escapes() -> None:
    data = WHOLE.replace("GNU", "J\xf6rg").encode("latin-1")
    ((_, text),) = stanzas(data)
    assert (parse_stanza(text).maintainer or "").startswith("J\\xf6rg Libc")


def test_stanzas_are_split_at_blank_lines_however_many() -> None:
    assert list(stanzas(b"\n\n\nA: 1\n\n\n\nB: 2\nC: 3\n\nD: 4")) == [
        (3, "A: 1\n"),
        (11, "B: 2\nC: 3\n"),
        (22, "D: 4"),
    ]
    assert list(stanzas(b"")) == []
    assert list(stanzas(b"\n")) == []


def test_a_stanza_longer_than_any_is_cut_and_told_from_a_whole_one() -> None:
    data = b"A: 1\n" * 4 + b"\nB: 2\n"
    assert list(stanzas(data, 10)) == [(0, "A: 1\nA: 1"), (21, "B: 2\n")]
    with pytest.raises(StanzaError, match="a cut one"):
        parse_stanza("A: 1\nA: 1")


@given(st.binary(max_size=60), st.lists(st.integers(0, 60)))
def test_lines_are_numbered_from_one(data: bytes, offsets: list[int]) -> None:
    lines = Lines(data)
    for offset in sorted(offsets):
        assert lines.at(offset) == data[:offset].count(b"\n") + 1


@given(st.text("ab: \n", max_size=60))
def test_stanzas_lose_nothing_but_blank_lines_and_know_where_they_stand(text: str) -> None:
    found = list(stanzas(text.encode()))
    assert "".join(each for _, each in found).replace("\n", "") == text.replace("\n", "")
    for offset, each in found:
        assert text[offset:].startswith(each)
        assert not each.startswith("\n")
        assert "\n\n" not in each


@given(st.text(max_size=300))
def test_any_text_gives_an_entry_or_our_error(text: str) -> None:
    outcome(parse_stanza, text)


def test_a_blank_behind_a_value_is_no_part_of_it() -> None:
    text = "Package: a\nStatus: install ok installed\nMaintainer: Ann \nArchitecture: amd64\nVersion: 1\n"
    assert parse_stanza(text).maintainer == careful(text).maintainer == "Ann"
