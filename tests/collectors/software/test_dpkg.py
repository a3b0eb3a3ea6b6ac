"""dpkg's database as a tree: the journal, distroless images, damage; dpkg-query is asked where it can answer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from collectors.contract import Gap
from collectors.reading.facts import Content
from collectors.reading.host import Host
from collectors.software import dpkg
from collectors.software.dpkg_database import STATUS, STATUS_D, UPDATES, overlaid, parse_status
from collectors.software.package import Package
from collectors.software.purl import distribution
from tests.collectors.software.conftest import Plant

DEBIAN = distribution({"ID": "debian", "VERSION_ID": "12"})


def stanza(name: str, version: str = "1", state: str = "install ok installed", **more: str) -> str:
    fields = {"Package": name, "Status": state, "Maintainer": "A <a@example.org>", "Architecture": "amd64"}
    fields |= {key.replace("_", "-"): value for key, value in more.items()}
    fields |= {"Version": version, "Description": "text"}
    return "".join(f"{key}: {value}\n" for key, value in fields.items() if value) + "\n"


def packages(host: Host, database: str = STATUS) -> list[Package]:
    found = list(dpkg.packages(host, database, DEBIAN))
    assert not [each for each in found if isinstance(each, Gap)]
    return [each for each in found if isinstance(each, Package)]


def gaps(host: Host, database: str = STATUS) -> list[Gap]:
    return [each for each in dpkg.packages(host, database, DEBIAN) if isinstance(each, Gap)]


def told_by_dpkg(root: Path) -> list[tuple[str, ...]]:
    form = "${Package}\t${Version}\t${Architecture}\t${db:Status-Want}\t${db:Status-Status}\n"
    admin = f"--admindir={root}/var/lib/dpkg"
    done = subprocess.run(
        ["dpkg-query", admin, "-W", "-f", form], check=True, capture_output=True, text=True, timeout=60
    )
    return sorted(tuple(line.split("\t")) for line in done.stdout.splitlines())


def told_by_us(host: Host) -> list[tuple[str, ...]]:
    return sorted((p.name, p.version, p.arch or "", p.wanted or "", p.state or "") for p in packages(host))


def test_each_column_of_a_row(host: Host, plant: Plant) -> None:
    plant(STATUS, stanza("liba", "1:2-3", "hold reinstreq half-installed", Source="a (9)", Installed_Size="7"))
    os.utime(plant("/var/lib/dpkg/info/liba.list", "/.\n"), (0, 86400))
    plant("/var/lib/apt/extended_states", "Package: liba\nArchitecture: amd64\nAuto-Installed: 1\n\n")
    assert packages(host) == [
        Package(
            purl="pkg:deb/debian/liba@1:2-3?arch=amd64&distro=debian-12&upstream=a%409",
            database=STATUS,
            instance=1,
            name="liba",
            version="1:2-3",
            arch="amd64",
            source_name="a",
            source_version="9",
            vendor=None,
            maintainer="A <a@example.org>",
            licence=None,
            origin=None,
            module=None,
            size_bytes=7168,
            built=None,
            installed="1970-01-02T00:00:00Z",
            manual=False,
            state="half-installed",
            wanted="hold",
            needs_reinstall=True,
        )
    ]


def test_the_file_list_of_one_architecture_tells_when_that_one_was_unpacked(host: Host, plant: Plant) -> None:
    same = {"Multi_Arch": "same"}
    plant(STATUS, stanza("lib", **same) + stanza("lib", Architecture="i386", **same) + stanza("gone"))
    os.utime(plant("/var/lib/dpkg/info/lib:amd64.list", ""), (0, 1))
    os.utime(plant("/var/lib/dpkg/info/lib:i386.list", ""), (0, 2))
    assert [each.installed for each in packages(host)] == [
        "1970-01-01T00:00:01Z",
        "1970-01-01T00:00:02Z",
        None,
    ]


def test_configuration_left_behind_is_a_row_without_a_time_of_installation(host: Host, plant: Plant) -> None:
    plant(STATUS, stanza("old", state="deinstall ok config-files") + stanza("none", "", "purge ok not-installed"))
    plant("/var/lib/dpkg/info/old.list", "/etc/old\n")
    (row,) = packages(host)
    assert (row.name, row.state, row.wanted, row.installed) == ("old", "config-files", "deinstall", None)


def test_without_apt_nobody_knows_what_was_asked_for_and_with_it_all_not_marked_was(host: Host, plant: Plant) -> None:
    plant(STATUS, stanza("a") + stanza("b", Architecture="all") + stanza("c", Architecture="all"))
    assert [each.manual for each in packages(host)] == [None, None, None]
    plant("/var/lib/apt/lists/lock", "")
    assert [each.manual for each in packages(host)] == [True, True, True]
    plant("/var/lib/apt/extended_states", "Package: b\nArchitecture: amd64\nAuto-Installed: 1\n")
    assert [each.manual for each in packages(host)] == [True, False, True]


def test_a_damaged_stanza_is_a_gap_with_its_line_and_the_others_are_rows(host: Host, plant: Plant) -> None:
    plant(STATUS, stanza("a") + "Package: b\nVersion 1\n\n" + stanza("c") + "Package: d\nVersion: 1.2")
    found = list(dpkg.packages(host, STATUS, DEBIAN))
    assert [each.name for each in found if isinstance(each, Package)] == ["a", "c"]
    assert [each for each in found if isinstance(each, Gap)] == [
        Gap(STATUS, "malformed", "expected a field name and a colon, found a line without a colon", line=8),
        Gap(STATUS, "malformed", "expected a whole stanza with a newline at its end, found a cut one", line=18),
    ]


@pytest.mark.needs_program("dpkg-query")
def test_mixed_case_and_carriage_returns_are_read_as_dpkg_query_reads_them(
    host: Host, plant: Plant, tmp_path: Path
) -> None:
    plant(STATUS, stanza("a", state="Install OK Installed") + stanza("b", "2\r", "hold reinstreq Half-Configured\r"))
    plant("/var/lib/dpkg/info/format", "1\n")
    assert told_by_us(host) == told_by_dpkg(tmp_path)


@pytest.mark.needs_program("dpkg-query")
def test_the_journal_of_updates_counts_for_more_than_status(host: Host, plant: Plant, tmp_path: Path) -> None:
    same = {"Multi_Arch": "same"}
    plant(
        STATUS,
        stanza("a") + stanza("b") + stanza("c") + stanza("lib", **same) + stanza("lib", Architecture="i386", **same),
    )
    plant("/var/lib/dpkg/info/format", "1\n")
    plant(f"{UPDATES}/0000", stanza("a", "2", "install ok half-configured"))
    plant(f"{UPDATES}/0001", stanza("a", "2"))
    plant(f"{UPDATES}/0002", stanza("b", state="deinstall ok half-installed"))
    plant(f"{UPDATES}/0003", "Package: b\nStatus: purge ok not-installed\nArchitecture: amd64\n\n")
    plant(f"{UPDATES}/0004", stanza("lib", "3", Architecture="i386", **same))
    plant(f"{UPDATES}/0005", stanza("new", "1", "install reinstreq unpacked"))
    plant(f"{UPDATES}/tmp.i", "Package: half")
    assert told_by_us(host) == told_by_dpkg(tmp_path)
    assert sorted((each.name, each.version) for each in packages(host)) == [
        ("a", "2"),
        ("c", "1"),
        ("lib", "1"),
        ("lib", "3"),
        ("new", "1"),
    ]


def test_a_torn_update_is_a_gap_that_names_its_file(host: Host, plant: Plant) -> None:
    plant(STATUS, stanza("a"))
    plant(f"{UPDATES}/0000", stanza("a", "2")[:40])
    (gap,) = gaps(host)
    assert (gap.source, gap.reason) == (f"{UPDATES}/0000", "malformed")


class Restless(Host):
    """A host whose status is renamed anew before each read of it."""

    def read(self, path: str, *, limit: int = 1 << 20, untrusted: str | None = None) -> Content:
        if path == STATUS and self.renames:
            self.renames -= 1
            real = self.root + STATUS
            Path(f"{real}-new").write_text(stanza("a", str(self.renames)))
            os.rename(f"{real}-new", real)
        return super().read(path, limit=limit, untrusted=untrusted)

    renames = 0


def test_status_replaced_while_it_is_read_is_read_again(tmp_path: Path, plant: Plant) -> None:
    plant(STATUS, stanza("a", "9"))
    host = Restless(str(tmp_path), secret=b"secret")
    host.renames = 2
    assert [each.version for each in packages(host)] == ["0"]
    host.renames = 100
    (gap,) = gaps(host)
    assert (gap.source, gap.reason) == (STATUS, "changed_while_read")


def test_a_database_that_lost_its_status_says_so(host: Host, plant: Plant) -> None:
    plant(f"{STATUS}-old", stanza("a"))
    assert dpkg.databases(host) == [STATUS]
    (gap,) = gaps(host)
    assert (gap.source, gap.reason) == (STATUS, "absent")


def test_distroless_images_have_a_file_for_each_package_and_no_states(host: Host, plant: Plant) -> None:
    plant(f"{STATUS_D}/base-files", "Package: base-files\nArchitecture: amd64\nVersion: 12.4+deb12u5\n")
    plant(f"{STATUS_D}/base-files.md5sums", "d41d8cd98f00b204e9800998ecf8427e  etc/debian_version\n")
    plant(f"{STATUS_D}/tzdata", "Package: tzdata\nVersion: 2024a-0\nArchitecture: all\nMaintainer: GNU\n\n")
    assert dpkg.databases(host) == [STATUS_D]
    base, zones = packages(host, STATUS_D)
    assert base.purl == "pkg:deb/debian/base-files@12.4%2Bdeb12u5?arch=amd64&distro=debian-12"
    assert (base.state, base.wanted, base.needs_reinstall, base.manual) == (None, None, None, None)
    assert (zones.name, zones.arch, zones.maintainer) == ("tzdata", "all", "GNU")


def test_a_status_that_is_a_link_is_followed_inside_the_root_only(host: Host, plant: Plant, tmp_path: Path) -> None:
    plant("/srv/status", stanza("a"))
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").symlink_to("/srv/status")
    assert [each.name for each in packages(host)] == ["a"]
    (tmp_path / "srv/status").unlink()
    (tmp_path / "srv/status").symlink_to("../../../../../../../../../../etc/passwd")
    assert [gap.reason for gap in gaps(host)] == ["absent"]


def test_a_status_larger_than_the_limit_is_cut_and_says_so(
    host: Host, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.software.dpkg_database.STATUS_LIMIT", len(stanza("a")) + 20)
    plant(STATUS, stanza("a") + stanza("b"))
    found = list(dpkg.packages(host, STATUS, DEBIAN))
    assert [each.name for each in found if isinstance(each, Package)] == ["a"]
    assert "truncated" in [each.reason for each in found if isinstance(each, Gap)]


def test_a_fifo_in_the_place_of_status_does_not_block(host: Host, tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    os.mkfifo(tmp_path / "var/lib/dpkg/status")
    assert [gap.reason for gap in gaps(host)] == ["not_regular"]


def test_one_stanza_twice_is_two_entries(host: Host, plant: Plant) -> None:
    plant(STATUS, stanza("a") + stanza("a"))
    assert [each.name for each in packages(host)] == ["a", "a"]


def test_a_million_lines_without_a_field_are_one_gap() -> None:
    (gap,) = parse_status(b"x\n" * 1_000_000, "status")
    assert isinstance(gap, Gap)


def test_changes_to_nothing_are_all_new() -> None:
    (entry,) = parse_status(stanza("a").encode(), "x")
    assert not isinstance(entry, Gap)
    assert list(overlaid([], [entry, entry])) == [entry]
