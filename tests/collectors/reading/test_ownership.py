"""Which package ships a file: as dpkg -S says, through merged folders and diversions, and what rpm and apk record."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.contract import Gap
from collectors.reading.dpkg_files import Diversion, parse_diversions, parse_overrides
from collectors.reading.host import Host
from collectors.reading.ownership import Ownership, Recorded, owners_of, parse_apk_owners
from tests.collectors.reading.planting import Plant
from tests.collectors.reading.rpm_blobs import File, database, package_blob

INFO = "/var/lib/dpkg/info"
RPM = "var/lib/rpm/rpmdb.sqlite"


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


def test_an_rpm_database_is_asked_too(host: Host, root: Path) -> None:
    sudo = [File("/usr/bin/sudo", 0o104111), File("/usr/bin/sudoedit", 0o120777)]
    database(root / RPM, [package_blob("sudo", sudo), package_blob("bash", [File("/usr/bin/bash", group="wheel")])])
    assert owners_of(host, ["/usr/bin/sudo", "/usr/bin/sudoedit", "/usr/bin/bash", "/usr/bin/x"]) == Ownership(
        {"/usr/bin/sudo": "sudo", "/usr/bin/sudoedit": "sudo", "/usr/bin/bash": "bash"},
        {
            "/usr/bin/sudo": Recorded("root", "root", 0o4111),
            "/usr/bin/sudoedit": Recorded("root", "root", None),
            "/usr/bin/bash": Recorded("root", "wheel", 0o755),
        },
    )


def test_of_two_rpm_packages_with_one_file_the_last_installed_counts(host: Host, root: Path) -> None:
    shared = [package_blob("new", [File("/a")]), package_blob("old", [File("/a", state=1)])]
    database(root / RPM, [package_blob("first", [File("/a", owner="daemon")]), *shared])
    found = owners_of(host, ["/a"])
    assert (found.packages, found.recorded) == ({"/a": "new"}, {"/a": Recorded("root", "root", 0o755)})


def test_an_rpm_package_that_names_a_folder_before_it_was_merged_counts(host: Host, plant: Plant, root: Path) -> None:
    database(root / RPM, [package_blob("old", [File("/bin/su"), File("/sbin/ip"), File("/usr/sbin/ss")])])
    plant("/usr/bin/su", "")
    for link, target in (("bin", "usr/bin"), ("sbin", "usr/sbin"), ("usr/sbin", "bin")):
        (root / link).symlink_to(target)
    found = owners_of(host, ["/usr/bin/su", "/usr/bin/ip", "/usr/bin/ss", "/usr/bin/su/x"])
    assert found.packages == {"/usr/bin/su": "old", "/usr/bin/ip": "old", "/usr/bin/ss": "old"}


def test_a_merged_folder_that_leads_elsewhere_is_no_second_name(host: Host, plant: Plant, root: Path) -> None:
    database(root / RPM, [package_blob("old", [File("/bin/su"), File("/sbin/su")])])
    plant("/opt/su", "")
    (root / "bin").symlink_to("opt")
    (root / "sbin").symlink_to("sbin")
    assert owners_of(host, ["/opt/su", "/usr/bin/su"]).packages == {}


def test_an_rpm_database_beside_that_of_dpkg_is_asked_for_the_rest(host: Host, plant: Plant, root: Path) -> None:
    database(root / RPM, [package_blob("theirs", [File("/usr/bin/sudo"), File("/opt/tool")])])
    plant(f"{INFO}/sudo.list", "/usr/bin/sudo\n")
    found = owners_of(host, ["/usr/bin/sudo", "/opt/tool"])
    assert found.packages == {"/usr/bin/sudo": "sudo", "/opt/tool": "theirs"}
    assert set(found.recorded) == {"/opt/tool"}


def test_a_damaged_header_of_rpm_is_a_gap_and_the_others_count(host: Host, root: Path) -> None:
    database(root / RPM, [b"\0" * 20, package_blob("sudo", [File("/usr/bin/sudo")])])
    found = owners_of(host, ["/usr/bin/sudo"])
    assert found.packages == {"/usr/bin/sudo": "sudo"}
    assert [(gap.source, gap.reason) for gap in found.gaps] == [(f"/{RPM}", "malformed")]


@pytest.mark.parametrize(
    ("name", "form"), [("Packages", "Berkeley DB format"), ("Packages.db", "rpm's own ndb format")]
)
def test_an_rpm_database_in_another_format_is_a_gap_that_names_it(
    host: Host, plant: Plant, name: str, form: str
) -> None:
    plant(f"/var/lib/rpm/{name}", "")
    detail = f"an rpm database in {form}, which is not read yet"
    assert owners_of(host, ["/usr/bin/su"]).gaps == (Gap(f"/var/lib/rpm/{name}", "unknown_format", detail),)


def test_where_nothing_is_asked_no_database_is_opened(host: Host, plant: Plant, root: Path) -> None:
    database(root / RPM, [b""])
    plant(f"{INFO}/sudo.list", "/usr/bin/sudo\n")
    assert owners_of(host, []) == Ownership()
    assert host.opened == []


def test_a_list_that_cannot_be_read_is_a_gap(host: Host, plant: Plant) -> None:
    os.mkfifo(plant(f"{INFO}/a.list", "/a\n").with_name("b.list"))
    found = owners_of(host, ["/a"])
    assert found.packages == {"/a": "a"}
    assert [(gap.source, gap.reason) for gap in found.gaps] == [(f"{INFO}/b.list", "not_regular")]


def test_a_host_without_any_database_knows_no_owner_and_has_no_gap(host: Host) -> None:
    found = owners_of(host, ["/bin/su"])
    assert found == Ownership()


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


@pytest.mark.slow
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
