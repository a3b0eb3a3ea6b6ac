"""Files in the headers of an rpm database: those that rpm installed, and lists that contradict each other."""

from __future__ import annotations

import contextlib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.contract import MalformedError
from collectors.reading import rpm_files
from collectors.reading.rpm_files import PackagedFile, packaged_files, wanted_files
from collectors.reading.rpm_header import parse_header
from tests.collectors.reading.rpm_blobs import (
    CHAR,
    INT16,
    INT32,
    STRING,
    STRING_ARRAY,
    File,
    Values,
    file_lists,
    header_blob,
    package_blob,
)

NORMAL, REPLACED, NOT_INSTALLED, NET_SHARED, WRONG_COLOUR = range(5)
SU = [File("/usr/bin/su", 0o104755), File("/etc/pam.d/su", 0o100644)]


def found(blob: bytes, *paths: str) -> list[PackagedFile]:
    return list(packaged_files(parse_header(blob), wanted_files(paths)))


def said(changes: dict[int, Values]) -> bytes:
    """Return the header of su with some tags said otherwise."""
    return header_blob({rpm_files.NAME: (STRING, ["su"]), **file_lists(SU), **changes})


def test_a_file_is_found_by_its_whole_path_only() -> None:
    blob = package_blob("su", SU)
    assert found(blob, "/usr/bin/su") == [PackagedFile("/usr/bin/su", "su", "root", "root", 0o104755)]
    assert found(blob, "/etc/su", "/usr/bin/", "/usr/bin", "/pam.d/su", "/etc/pam.d/other") == []


@pytest.mark.parametrize(
    ("state", "counts"),
    [(NORMAL, True), (REPLACED, False), (NOT_INSTALLED, False), (NET_SHARED, True), (WRONG_COLOUR, False)],
)
def test_only_a_file_that_rpm_installed_counts(state: int, counts: bool) -> None:
    assert bool(found(package_blob("su", [File("/usr/bin/su", state=state)]), "/usr/bin/su")) is counts


def test_without_states_all_files_count_as_they_do_for_rpm() -> None:
    assert [each.path for each in found(said({}), "/usr/bin/su")] == ["/usr/bin/su"]


def test_a_path_that_is_not_utf8_is_found() -> None:
    assert [each.path for each in found(package_blob("x", [File("/caf\udce9/su")]), "/caf\udce9/su")] == [
        "/caf\udce9/su"
    ]


def test_a_header_of_rpm_3_lists_whole_paths() -> None:
    old: dict[int, Values] = {tag: value for tag, value in file_lists(SU).items() if tag < rpm_files.DIR_INDEXES}
    old[rpm_files.OLD_FILE_NAMES] = (STRING_ARRAY, [each.path for each in SU])
    blob = header_blob({rpm_files.NAME: (STRING, ["su"]), **old})
    assert found(blob, "/etc/pam.d/su") == [PackagedFile("/etc/pam.d/su", "su", "root", "root", 0o100644)]


def test_a_package_without_files_has_none() -> None:
    assert found(header_blob({rpm_files.NAME: (STRING, ["gpg-pubkey"])}), "/usr/bin/su") == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({rpm_files.DIR_INDEXES: (INT32, [0])}, "number 2 at tag 1116"),
        ({rpm_files.DIR_INDEXES: (INT32, [0, 0xFFFFFFFF])}, "one of 2 folders for file 2"),
        ({rpm_files.DIR_INDEXES: (INT32, [0, 2])}, "one of 2 folders for file 2"),
        ({rpm_files.DIR_INDEXES: (INT16, [])}, "number 1 at tag 1116"),
        ({rpm_files.FILE_MODES: (INT16, [0o100644])}, "number 2 at tag 1030"),
        ({rpm_files.FILE_MODES: (STRING, ["x"])}, "number 1 at tag 1030"),
        ({rpm_files.FILE_USERS: (STRING_ARRAY, ["root"])}, "text 2 at tag 1039"),
        ({rpm_files.FILE_GROUPS: (INT32, [0, 0])}, "text at tag 1040"),
        ({rpm_files.FILE_STATES: (CHAR, [0])}, "number 2 at tag 1029"),
        ({rpm_files.NAME: (INT32, [1])}, "text at tag 1000"),
        ({rpm_files.BASE_NAMES: (INT32, [1])}, "text at tag 1117"),
        ({rpm_files.DIR_NAMES: (STRING_ARRAY, ["/etc/pam.d/"] * 100_001)}, "at most 100000 folders"),
    ],
)
def test_lists_that_contradict_each_other_are_refused(changes: dict[int, Values], complaint: str) -> None:
    with pytest.raises(MalformedError, match=complaint):
        found(said(changes), "/usr/bin/su", "/etc/pam.d/su")


@pytest.mark.parametrize("tag", [rpm_files.NAME, rpm_files.FILE_MODES, rpm_files.FILE_USERS, rpm_files.DIR_INDEXES])
def test_a_file_without_mode_owner_or_package_is_refused(tag: int) -> None:
    tags: dict[int, Values] = {rpm_files.NAME: (STRING, ["su"]), **file_lists(SU)}
    with pytest.raises(MalformedError, match=f"a value at tag {tag}"):
        found(header_blob({each: value for each, value in tags.items() if each != tag}), "/usr/bin/su")


def test_memory_grows_with_the_wanted_files_and_not_with_the_header() -> None:
    many = [File(f"/usr/share/doc/kernel/{number:060}") for number in range(20_000)]
    header = parse_header(package_blob("kernel", [*many, File("/usr/share/doc/kernel/su")]))
    tracemalloc.start()
    try:
        (one,) = packaged_files(header, wanted_files(["/usr/share/doc/kernel/su", "/usr/bin/su"]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert one.path == "/usr/share/doc/kernel/su"
    assert peak < 100_000


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=8))
def test_a_header_with_some_bytes_changed_gives_wanted_files_or_our_error(at: int, change: bytes) -> None:
    honest = package_blob("su", SU)
    at %= len(honest)
    blob = honest[:at] + change + honest[at + len(change) :]
    with contextlib.suppress(MalformedError):
        assert {each.path for each in found(blob, "/usr/bin/su", "/etc/pam.d/su")} <= {each.path for each in SU}


@given(st.lists(st.text("ab/\udce9", min_size=1, max_size=5), min_size=1, unique=True), st.data())
def test_each_file_asked_for_is_found_and_no_other(names: list[str], data: st.DataObject) -> None:
    paths = ["/" + name for name in names]
    wanted = data.draw(st.lists(st.sampled_from([*paths, "/c", "/a/c"]), unique=True))
    blob = package_blob("x", [File(path) for path in paths])
    assert {each.path for each in found(blob, *wanted)} == set(paths) & set(wanted)
