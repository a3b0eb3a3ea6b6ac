"""Headers of an rpm database, made here byte by byte, honest and hostile."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.contract import MalformedError
from collectors.reading.rpm_header import Header, parse_header
from collectors.software import rpm
from collectors.software.purl import distribution
from tests.collectors.reading.rpm_blobs import INT32, INT64, STRING, Values, header_blob

ROCKY = distribution({"ID": "rocky", "VERSION_ID": "9.4"})
BASH: dict[int, Values] = {
    rpm.NAME: (STRING, ["bash"]),
    rpm.VERSION: (STRING, ["5.1.8"]),
    rpm.RELEASE: (STRING, ["9.el9"]),
    rpm.ARCH: (STRING, ["x86_64"]),
    rpm.SOURCE_RPM: (STRING, ["bash-5.1.8-9.el9.src.rpm"]),
    rpm.SIZE: (INT32, [7738634]),
    rpm.INSTALL_TIME: (INT32, [1714564800]),
}


def complaint(blob: bytes) -> str:
    with pytest.raises(MalformedError) as caught:
        rpm.package(parse_header(blob), "db", ROCKY)
    return str(caught.value)


def test_a_header_becomes_a_row() -> None:
    row = rpm.package(parse_header(header_blob(BASH)), "db", ROCKY)
    assert row.purl == ("pkg:rpm/rocky/bash@5.1.8-9.el9?arch=x86_64&distro=rocky-9.4&upstream=bash-5.1.8-9.el9.src.rpm")
    assert (row.version, row.source_name, row.source_version) == ("5.1.8-9.el9", "bash", "5.1.8-9.el9")
    assert (row.size_bytes, row.installed, row.built) == (7738634, "2024-05-01T12:00:00Z", None)


def test_an_epoch_of_zero_is_not_the_same_as_none() -> None:
    row = rpm.package(parse_header(header_blob(BASH | {rpm.EPOCH: (INT32, [0])})), "db", ROCKY)
    assert row.version == "0:5.1.8-9.el9"
    assert "&epoch=0&" in row.purl


def test_the_long_size_counts_where_the_short_one_cannot_hold_it() -> None:
    row = rpm.package(parse_header(header_blob(BASH | {rpm.LONG_SIZE: (INT64, [1 << 40])})), "db", ROCKY)
    assert row.size_bytes == 1 << 40


def test_what_was_added_behind_the_region_counts_for_more() -> None:
    blob = header_blob(BASH, added={rpm.RELEASE: (STRING, ["10.el9"])})
    assert rpm.package(parse_header(blob), "db", ROCKY).version == "5.1.8-10.el9"


def test_text_that_is_not_utf8_is_kept_with_escapes() -> None:
    blob = header_blob(BASH | {rpm.VENDOR: (STRING, [b"Acm\xe9"])})
    assert rpm.package(parse_header(blob), "db", ROCKY).vendor == "Acm\\xe9"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a\nb", "é"])
def test_a_name_that_would_make_another_purl_is_refused(name: str) -> None:
    expected = "expected a word at tag 1000, found another form"
    assert complaint(header_blob(BASH | {rpm.NAME: (STRING, [name])})) == expected


@pytest.mark.parametrize("tag", [rpm.NAME, rpm.VERSION, rpm.RELEASE])
def test_a_header_without_name_version_or_release_is_no_package(tag: int) -> None:
    said = {each: value for each, value in BASH.items() if each != tag}
    assert complaint(header_blob(said)) == f"expected a word at tag {tag}, found none"


def entries(*each: tuple[int, int, int, int], store: bytes = b"") -> bytes:
    index = b"".join(struct.pack(">IIiI", *entry) for entry in each)
    return struct.pack(">II", len(each), len(store)) + index + store


@pytest.mark.parametrize(
    ("blob", "expected"),
    [
        (b"", "at least 8 bytes"),
        (b"\0" * 8, "1 to 65535 entries"),
        (struct.pack(">II", 10**9, 10**9), "1 to 65535 entries"),
        (struct.pack(">II", 1, 1 << 31) + b"\0" * 16, "bytes by its own lengths"),
        (entries((1000, 6, 0, 1), store=b"a\0") + b"x", "bytes by its own lengths"),
        (entries((1000, 10, 0, 1), store=b"a\0"), "known type"),
        (entries((1000, 6, -1, 1), store=b"a\0"), "inside the store"),
        (entries((1000, 6, 3, 1), store=b"a\0"), "inside the store"),
        (entries((1000, 6, 0, 10**9), store=b"a\0"), "inside the store"),
        (entries((1000, 6, 0, 0), store=b"a\0"), "text 1 at tag 1000"),
        (entries((1000, 4, 0, 1), store=b"aaaa"), "text at tag 1000"),
        (entries((1000, 6, 0, 1), store=b"aaaa"), "a NUL at the end"),
        (entries((63, 7, 10, 16), store=b"a" * 20), "a region of 16 bytes"),
        (entries((63, 6, 0, 16), store=b"a" * 16), "a region of 16 bytes"),
        (entries((63, 7, 0, 16), store=struct.pack(">IIiI", 63, 7, -32, 16)), "a region over 1 to 1 entries"),
        (entries((63, 7, 0, 16), store=struct.pack(">IIiI", 63, 7, 16, 16)), "a region over 1 to 1 entries"),
        (entries((63, 7, 0, 16), store=struct.pack(">IIiI", 63, 7, -15, 16)), "a region over 1 to 1 entries"),
        (entries((63, 7, 0, 16), store=struct.pack(">IIiI", 1000, 7, -16, 16)), "a region over 1 to 1 entries"),
    ],
)
def test_a_header_that_lies_about_itself_is_refused(blob: bytes, expected: str) -> None:
    assert expected in complaint(blob)


@pytest.mark.parametrize(("offset", "store"), [(1, b"a" * 9), (4, b"a" * 6)])
def test_a_number_misaligned_or_past_the_store_is_refused(offset: int, store: bytes) -> None:
    header = Header({rpm.SIZE: (INT32, offset, 1)}, store)
    with pytest.raises(MalformedError, match="an aligned number inside the store"):
        header.number(rpm.SIZE)


def test_an_endless_text_is_refused() -> None:
    assert "a NUL at the end" in complaint(header_blob(BASH | {rpm.NAME: (STRING, ["a" * 100_000])}))


@given(st.binary(max_size=400))
def test_any_bytes_give_a_row_or_our_error(blob: bytes) -> None:
    with contextlib.suppress(MalformedError):
        rpm.package(parse_header(blob), "db", ROCKY)


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=8))
def test_a_header_with_some_bytes_changed_gives_a_row_or_our_error(at: int, change: bytes) -> None:
    honest = header_blob(BASH)
    at %= len(honest)
    blob = honest[:at] + change + honest[at + len(change) :]
    with contextlib.suppress(MalformedError):
        rpm.package(parse_header(blob), "db", ROCKY)


def test_a_complaint_never_quotes_what_was_read() -> None:
    for text in ("secret word", "secret\nword"):
        assert "secret" not in complaint(header_blob(BASH | {rpm.NAME: (STRING, [text])}))


def test_every_truncation_of_a_header_is_refused() -> None:
    honest = header_blob(BASH)
    for length in range(len(honest)):
        complaint(honest[:length])
