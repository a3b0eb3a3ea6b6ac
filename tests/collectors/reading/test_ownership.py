"""Which package ships a file: as dpkg -S says, through merged folders and diversions, and what apk records."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.reading.host import Host
from collectors.reading.ownership import (
    Diversion,
    owners_of,
    parse_apk_owners,
    parse_diversions,
    parse_overrides,
)
from tests.collectors.reading.planting import Plant

INFO = "/var/lib/dpkg/info"


def test_a_path_belongs_to_the_package_whose_list_names_it(host: Host, plant: Plant) -> None:
    plant(f"{INFO}/sudo.list", "/.\n/usr\n/usr/bin\n/usr/bin/sudo\n")
    plant(f"{INFO}/libc6:amd64.list", "/.\n/usr/lib/libc.so.6\n")
    found = owners_of(host, ["/usr/bin/sudo", "/usr/lib/libc.so.6", "/usr/bin/sud", "/usr/local/bin/x"])
    assert found.packages == {"/usr/bin/sudo": "sudo", "/usr/lib/libc.so.6": "libc6"}
    assert found.gaps == ()


def test_a_list_written_before_the_folders_were_merged_counts(host: Host, plant: Plant) -> None:
    plant(f"{INFO}/util-linux.list", "/bin\n/bin/su\n")
    (plant("/usr/bin/su", "").parent.parent.parent / "bin").symlink_to("usr/bin")
    assert owners_of(host, ["/usr/bin/su"]).packages == {"/usr/bin/su": "util-linux"}


def test_in_a_tree_that_is_not_merged_two_paths_are_two_files(host: Host, plant: Plant) -> None:
    plant(f"{INFO}/util-linux.list", "/bin/su\n")
    plant("/bin/su", "")
    assert owners_of(host, ["/usr/bin/su", "/bin/su"]).packages == {"/bin/su": "util-linux"}


def test_a_diverted_file_belongs_to_the_package_it_was_moved_from(host: Host, plant: Plant) -> None:
    plant(f"{INFO}/dash.list", "/bin/sh\n/bin/sh.distrib\n")
    plant(f"{INFO}/perf.list", "/usr/bin/perf\n")
    plant(f"{INFO}/wrapper.list", "/usr/bin/perf\n")
    plant("/var/lib/dpkg/diversions", "/usr/bin/perf\n/usr/bin/perf.real\nwrapper\n/bin/true\n/bin/true.old\n:\n")
    plant(f"{INFO}/coreutils.list", "/bin/true\n")
    found = owners_of(host, ["/usr/bin/perf", "/usr/bin/perf.real", "/bin/true", "/bin/true.old"])
    assert found.packages == {
        "/usr/bin/perf": "wrapper",
        "/usr/bin/perf.real": "perf",
        "/bin/true.old": "coreutils",
    }
    alone = owners_of(host, ["/bin/true.old"])  # nothing stands any more where the list says
    assert alone.packages == {"/bin/true.old": "coreutils"}


def test_an_apk_database_is_asked_too(host: Host, plant: Plant) -> None:
    plant("/lib/apk/db/installed", "C:Q1\nP:busybox\nF:bin\nR:busybox\na:0:0:4755\nF:\nR:init\n\nP:su\nF:bin\nR:su\n\n")
    found = owners_of(host, ["/bin/busybox", "/bin/su", "/init", "/bin/other"])
    assert found.packages == {"/bin/busybox": "busybox", "/bin/su": "su", "/init": "busybox"}


def test_where_rpm_would_know_a_gap_says_that_it_was_not_asked(host: Host, plant: Plant) -> None:
    plant("/var/lib/rpm/rpmdb.sqlite", "")
    assert [(gap.source, gap.reason) for gap in owners_of(host, ["/usr/bin/su"]).gaps] == [
        ("/var/lib/rpm", "unsupported")
    ]
    assert owners_of(host, []).gaps == ()


def test_an_rpm_database_beside_that_of_dpkg_is_of_no_matter(host: Host, plant: Plant) -> None:
    plant("/var/lib/rpm/rpmdb.sqlite", "")
    plant(f"{INFO}/sudo.list", "/usr/bin/sudo\n")
    assert owners_of(host, ["/usr/local/bin/x"]).gaps == ()


def test_a_list_that_cannot_be_read_is_a_gap(host: Host, plant: Plant) -> None:
    os.mkfifo(plant(f"{INFO}/a.list", "/a\n").with_name("b.list"))
    found = owners_of(host, ["/a"])
    assert found.packages == {"/a": "a"}
    assert [(gap.source, gap.reason) for gap in found.gaps] == [(f"{INFO}/b.list", "not_regular")]


def test_a_host_without_any_database_knows_no_owner_and_has_no_gap(host: Host) -> None:
    found = owners_of(host, ["/bin/su"])
    assert (found.packages, found.overrides, found.gaps) == ({}, {}, ())


def test_overrides_are_read_with_their_octal_mode() -> None:
    data = b"root messagebus 4754 /usr/lib/dbus helper\n#0 #42 2755 /a\nbroken\nroot root 9 /b\nroot root  /c\n"
    assert parse_overrides(data) == {
        "/usr/lib/dbus helper": ("root", "messagebus", 0o4754),
        "/a": ("#0", "#42", 0o2755),
    }


def test_diversions_are_triples_and_half_a_one_is_left_out() -> None:
    assert parse_diversions(b"/a\n/b\np:amd64\n/c\n/d\n:\n/e\n/f\n") == (
        Diversion("/a", "/b", "p"),
        Diversion("/c", "/d", ":"),
    )


@given(st.binary(max_size=300))
def test_any_bytes_are_read(data: bytes) -> None:
    parse_overrides(data)
    parse_diversions(data)
    parse_apk_owners(data)


@pytest.mark.needs_program("dpkg-query", "find")
def test_this_machine_agrees_with_dpkg() -> None:
    command = ["find", "/usr/bin", "/usr/sbin", "/etc/init.d", "-xdev", "-type", "f", "-print0"]
    output = subprocess.run(command, capture_output=True, check=False).stdout
    names = [os.fsdecode(name) for name in output.split(b"\0")[:-1]][::5]
    found = owners_of(Host("/", secret=b"secret"), names).packages
    known = {name: said for name in names if (said := dpkg_owner(name))}
    assert known
    assert found == known


def dpkg_owner(path: str) -> str | None:
    """Return the package dpkg-query names for a path, asking under both names of a merged folder."""
    for name in (path, path.removeprefix("/usr")):
        run = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True, check=False)
        lines = [line for line in run.stdout.split("\n") if line.endswith(f": {name}") and "diversion" not in line]
        if lines:
            return lines[0].partition(":")[0].partition(",")[0]
    return None
