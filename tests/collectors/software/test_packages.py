"""The table: several databases on one host, none, empty ones, and those not read yet."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from collectors.contract import CollectionError, Gap, UnsupportedError, header_of
from collectors.reading.host import Host
from collectors.software import packages, rpm
from collectors.software.package import Package
from collectors.software.packages import TABLE, collect
from tests.collectors.reading.rpm_blobs import STRING, database, header_blob
from tests.collectors.software.conftest import Plant

STANZA = "Package: {}\nStatus: install ok installed\nMaintainer: A\nArchitecture: amd64\nVersion: 1\nDescription: x\n\n"
OS_RELEASE = "ID=debian\nVERSION_ID=12\n"
BASH = header_blob({rpm.NAME: (STRING, ["bash"]), rpm.VERSION: (STRING, ["5"]), rpm.RELEASE: (STRING, ["1"])})


def split(found: Iterator[Package | Gap]) -> tuple[list[Package], list[Gap]]:
    all_of_it = list(found)
    rows = [each for each in all_of_it if isinstance(each, Package)]
    return rows, [each for each in all_of_it if isinstance(each, Gap)]


def test_the_table_describes_itself_and_its_rows_are_valid(host: Host, plant: Plant) -> None:
    plant("/etc/os-release", OS_RELEASE)
    plant("/var/lib/dpkg/status", STANZA.format("a"))
    (row,), gaps = split(collect(host))
    assert gaps == []
    assert msgspec.json.decode(msgspec.json.encode(row), type=Package) == row
    assert {each.name for each in header_of(TABLE).fields if each.personal} == {"maintainer"}


def test_all_databases_of_a_host_are_read(host: Host, plant: Plant, tmp_path: Path) -> None:
    plant("/etc/os-release", OS_RELEASE)
    plant("/var/lib/dpkg/status", STANZA.format("a"))
    plant("/var/lib/dpkg/status.d/b", STANZA.format("b"))
    plant("/lib/apk/db/installed", "P:c\nV:1\n\n")
    plant("/etc/apk/world", "c\n")
    database(tmp_path / "var/lib/rpm/rpmdb.sqlite", [BASH])
    rows, gaps = split(collect(host))
    assert gaps == []
    assert [(each.name, each.database) for each in rows] == [
        ("a", "/var/lib/dpkg/status"),
        ("b", "/var/lib/dpkg/status.d"),
        ("bash", "/var/lib/rpm/rpmdb.sqlite"),
        ("c", "/lib/apk/db/installed"),
    ]


def test_a_host_without_any_package_database_is_unsupported_not_empty(host: Host) -> None:
    with pytest.raises(UnsupportedError):
        list(collect(host))


@pytest.mark.parametrize("status", ["", "\n\n", "Package: a\nStatus: purge ok not-installed\n\n", "garbage"])
def test_a_package_database_without_packages_fails_the_table(host: Host, plant: Plant, status: str) -> None:
    plant("/etc/os-release", OS_RELEASE)
    plant("/var/lib/dpkg/status", status)
    with pytest.raises(CollectionError, match="/var/lib/dpkg/status: expected packages, found none"):
        list(collect(host))


def test_an_empty_database_beside_a_full_one_fails_nothing(host: Host, plant: Plant, tmp_path: Path) -> None:
    plant("/etc/os-release", OS_RELEASE)
    plant("/var/lib/dpkg/status", STANZA.format("a"))
    database(tmp_path / "var/lib/rpm/rpmdb.sqlite", [])
    rows, gaps = split(collect(host))
    assert ([each.name for each in rows], gaps) == (["a"], [])


def test_a_database_that_may_not_be_read_is_a_gap_and_not_an_empty_one(host: Host, tmp_path: Path) -> None:
    folder = tmp_path / "var/lib/dpkg/status"
    folder.mkdir(parents=True)
    rows, gaps = split(collect(host))
    assert rows == []
    assert ("/var/lib/dpkg/status", "not_regular") in [(each.source, each.reason) for each in gaps]


def test_without_os_release_the_namespace_is_linux_and_a_gap_says_why(host: Host, plant: Plant) -> None:
    plant("/var/lib/dpkg/status", STANZA.format("a"))
    (row,), (gap,) = split(collect(host))
    assert row.purl == "pkg:deb/linux/a@1?arch=amd64&distro=linux"
    assert gap.reason == "absent"


def test_a_package_named_twice_is_two_rows_with_different_keys(host: Host, plant: Plant) -> None:
    plant("/etc/os-release", OS_RELEASE)
    plant("/var/lib/dpkg/status", STANZA.format("a") * 2 + STANZA.format("b"))
    rows, _ = split(collect(host))
    assert [(each.name, each.instance) for each in rows] == [("a", 1), ("a", 2), ("b", 1)]
    assert len({tuple(getattr(each, key) for key in TABLE.key) for each in rows}) == len(rows)


def test_a_flood_of_damage_is_folded_into_one_gap_with_its_count(host: Host, plant: Plant) -> None:
    plant("/etc/os-release", OS_RELEASE)
    plant("/var/lib/dpkg/status", STANZA.format("a") + "x\n\n" * 1000)
    rows, gaps = split(collect(host))
    assert len(rows) == 1
    assert len(gaps) == packages.DAMAGE_SHOWN + 1
    assert sum(each.count for each in gaps) == 1000


@pytest.mark.parametrize(
    ("path", "unit"),
    [("/var/lib/dpkg/status", b"x\n\n"), ("/lib/apk/db/installed", b"P:a\n\n"), ("/var/lib/dpkg/status", b"x\n")],
)
def test_megabytes_of_damage_are_read_in_bounded_time(host: Host, plant: Plant, path: str, unit: bytes) -> None:
    plant("/etc/os-release", OS_RELEASE)
    plant("/etc/apk/world", "")
    plant(path, STANZA.format("a").encode() + unit * ((8 << 20) // len(unit)))
    started = time.process_time()
    found: list[Package | Gap] = []
    with contextlib.suppress(CollectionError):
        found.extend(collect(host))
    assert time.process_time() - started < 20
    assert len(found) < packages.DAMAGE_SHOWN + 10


def test_more_packages_than_the_limit_are_cut_and_say_so(
    host: Host, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "MOST_ENTRIES", 2)
    plant("/etc/os-release", OS_RELEASE)
    plant("/var/lib/dpkg/status", "".join(STANZA.format(name) for name in "abc"))
    rows, (gap,) = split(collect(host))
    assert [each.name for each in rows] == ["a", "b"]
    assert (gap.source, gap.reason) == ("/var/lib/dpkg/status", "truncated")


@pytest.mark.parametrize(
    ("path", "source", "name"),
    [
        ("/var/lib/snapd/snaps/core22_1380.snap", "/var/lib/snapd/snaps", "snap"),
        ("/var/lib/flatpak/app/org.gnome.Maps/current", "/var/lib/flatpak/app", "flatpak"),
        ("/var/lib/rpmmanifest/container-manifest-2", "/var/lib/rpmmanifest", "rpm"),
        ("/var/lib/pacman/local/bash-5.2-1/desc", "/var/lib/pacman/local", "pacman"),
        ("/var/db/pkg/app-shells/bash-5.2/PF", "/var/db/pkg", "portage"),
        ("/nix/var/nix/db/db.sqlite", "/nix/var/nix/db", "nix"),
    ],
)
def test_a_manager_not_read_yet_is_a_gap_that_names_it(
    host: Host, plant: Plant, path: str, source: str, name: str
) -> None:
    plant("/etc/os-release", OS_RELEASE)
    plant(path, "")
    rows, (gap,) = split(collect(host))
    assert rows == []
    assert (gap.source, gap.reason) == (source, "unknown_format")
    assert name in gap.detail


def test_an_empty_folder_of_snap_is_no_gap(host: Host, plant: Plant) -> None:
    plant("/etc/os-release", OS_RELEASE)
    plant("/var/lib/dpkg/status", STANZA.format("a"))
    plant("/var/lib/snapd/snaps/partial/README", "")
    _, gaps = split(collect(host))
    assert gaps == []
