"""The `host` and `os_support` tables: pure readings, odd hosts, and what systemd and uname say."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.contract import Gap, MalformedError
from collectors.platform import host as host_table
from collectors.platform import os_support
from collectors.platform.host import Machine
from collectors.platform.machine import boot_seconds, elf_architecture, version_key, virtualization, zone_of
from collectors.platform.os_support import Support, bundled, parse_distro_info
from collectors.reading.errors import ReadError
from collectors.reading.facts import Facts
from collectors.reading.host import Host

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Tree = Callable[[dict[str, str]], Host]
DEBIAN = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    def make(files: dict[str, str]) -> Host:
        for name, text in files.items():
            path = tmp_path / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Host(str(tmp_path), secret=b"test")

    return make


def machine(host: Host) -> tuple[Machine, list[Gap]]:
    row, *gaps = host_table.collect(host)
    assert isinstance(row, Machine)
    return row, [each for each in gaps if isinstance(each, Gap)]


def test_an_image_has_no_running_kernel_boot_time_or_virtualization(tree: Tree) -> None:
    row, gaps = machine(
        tree({"/etc/os-release": DEBIAN, "/etc/machine-id": "a" * 32 + "\n", "/etc/hostname": "web1\n"})
    )
    assert (row.os_id, row.os_version, row.hostname) == ("debian", "12", "web1")
    assert (row.kernel_release, row.boot_time, row.virtualization, row.arch) == (None, None, None, None)
    assert gaps == []


def test_the_machine_id_is_a_keyed_hash_and_the_same_each_time(tree: Tree) -> None:
    host = tree({"/etc/os-release": DEBIAN, "/etc/machine-id": "a" * 32 + "\n"})
    row, _ = machine(host)
    assert row.machine_id == host.pseudonym("a" * 32)
    assert "a" * 32 not in repr(row)


@pytest.mark.parametrize("text", ["", "uninitialized\n"])
def test_a_machine_id_that_is_none_is_a_gap(tree: Tree, text: str) -> None:
    row, gaps = machine(tree({"/etc/os-release": DEBIAN, "/etc/machine-id": text}))
    assert row.machine_id is None
    assert [(gap.source, gap.reason) for gap in gaps] == [("/etc/machine-id", "malformed")]


def test_an_empty_tree_is_one_row_of_unknowns_with_gaps(tree: Tree) -> None:
    row, gaps = machine(tree({}))
    assert row.os_id is None
    assert {gap.source for gap in gaps} == {"/usr/lib/os-release", "/etc/machine-id"}


def test_a_rescue_image_is_no_kernel_for_its_name_is_the_machine_id(tree: Tree) -> None:
    host = tree({"/etc/os-release": DEBIAN, f"/boot/vmlinuz-0-rescue-{'a' * 32}": "", "/boot/vmlinuz-5.14.0-1.el9": ""})
    row, _ = machine(host)
    assert row.kernels_installed == ("5.14.0-1.el9",)


def test_an_odd_boot_time_and_an_odd_time_zone_are_gaps(tree: Tree, tmp_path: Path) -> None:
    host = tree({"/etc/os-release": DEBIAN, "/etc/machine-id": "a" * 32, "/proc/stat": "btime soon\n"})
    (tmp_path / "etc/localtime").symlink_to("/home/eve/zone")
    row, gaps = machine(host)
    assert (row.boot_time, row.timezone) == (None, None)
    assert {(gap.source, gap.reason) for gap in gaps} == {("/proc/stat", "malformed"), ("/etc/localtime", "malformed")}


def test_the_newest_installed_kernel_is_named_beside_the_running_one(tree: Tree) -> None:
    host = tree(
        {
            "/etc/os-release": DEBIAN,
            "/lib/modules/6.1.0-9-amd64/modules.dep": "",
            "/lib/modules/6.1.0-37-amd64/modules.dep": "",
            "/boot/vmlinuz-6.1.0-10-amd64": "",
            "/boot/vmlinuz-old": "",
            "/proc/sys/kernel/osrelease": "6.1.0-9-amd64\n",
        }
    )
    row, _ = machine(host)
    assert row.kernels_installed == ("6.1.0-9-amd64", "6.1.0-10-amd64", "6.1.0-37-amd64")
    assert (row.kernel_release, row.kernel_newest_installed) == ("6.1.0-9-amd64", "6.1.0-37-amd64")


def test_a_release_candidate_sorts_before_its_release() -> None:
    releases = ["5.14.0-427.el9", "6.12", "6.12-rc3", "6.2.0", "5.14.0-70.el9"]
    assert sorted(releases, key=version_key) == ["5.14.0-70.el9", "5.14.0-427.el9", "6.2.0", "6.12-rc3", "6.12"]


@given(st.lists(st.text(max_size=30), max_size=8))
def test_any_names_can_be_sorted(names: list[str]) -> None:
    assert len(sorted(names, key=version_key)) == len(names)


def test_a_time_zone_that_cannot_be_read_is_unknown_not_utc(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    host = tree({"/etc/localtime": ""})
    look = host.look

    def refuse(path: str) -> Facts:
        if path == "/etc/localtime":
            raise ReadError(path, "permission_denied")
        return look(path)

    monkeypatch.setattr(host, "look", refuse)
    row, gaps = machine(host)
    assert row.timezone is None
    assert ("/etc/localtime", "permission_denied") in [(gap.source, gap.reason) for gap in gaps]


def test_a_name_cut_by_a_limit_is_unknown_and_a_long_proc_stat_is_read(tree: Tree) -> None:
    stat = "intr" + " 0" * 100_000 + "\nbtime 1700000000\n"
    row, gaps = machine(tree({"/etc/hostname": "h" * 70_000, "/proc/stat": stat, "/etc/os-release": "#" * 70_000}))
    assert (row.hostname, row.os_id, row.boot_time) == (None, None, "2023-11-14T22:13:20Z")
    cut = [gap.source for gap in gaps if gap.reason == "truncated"]
    assert sorted(cut) == ["/etc/hostname", "/etc/os-release"]


def test_an_empty_os_release_is_linux_and_an_absent_one_is_unknown(tree: Tree) -> None:
    assert machine(tree({}))[0].os_id is None
    assert machine(tree({"/etc/os-release": ""}))[0].os_id == "linux"


@pytest.mark.parametrize("text", ["ID=$(x)\n", "ID debian\n", "ID=debian\nID=$(x)\n"])
def test_an_id_that_is_not_understood_is_no_default_and_not_the_one_before_it(tree: Tree, text: str) -> None:
    row, gaps = machine(tree({"/etc/os-release": text}))
    assert row.os_id is None
    assert ("/etc/os-release", "malformed") in [(gap.source, gap.reason) for gap in gaps]


def test_the_time_zone_is_the_one_the_link_names(tree: Tree, tmp_path: Path) -> None:
    host = tree({"/etc/os-release": DEBIAN})
    assert machine(host)[0].timezone == "UTC"
    (tmp_path / "etc/localtime").symlink_to("/usr/share/zoneinfo/Europe/Brussels")
    assert machine(host)[0].timezone == "Europe/Brussels"


@pytest.mark.parametrize(
    ("target", "zone"),
    [
        ("../usr/share/zoneinfo/posix/Etc/UTC", "Etc/UTC"),
        ("/etc/passwd", None),
        ("/usr/share/zoneinfo/\x1b[2J", None),
        ("/usr/share/zoneinfo/" + "a" * 65, None),
    ],
)
def test_a_link_that_names_no_zone_gives_none(target: str, zone: str | None) -> None:
    assert zone_of(target) == zone


@pytest.mark.parametrize(
    ("dmi", "container", "flag", "name"),
    [
        ({}, None, False, "none"),
        ({}, None, True, "vm-other"),
        ({"sys_vendor": "QEMU"}, None, True, "qemu"),
        ({"product_name": "KVM", "sys_vendor": "Red Hat"}, None, True, "kvm"),
        ({"sys_vendor": "VMware, Inc."}, None, True, "vmware"),
        ({"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine"}, None, True, "microsoft"),
        ({"sys_vendor": "Microsoft Corporation", "product_name": "Surface"}, None, False, "none"),
        ({"sys_vendor": "QEMU"}, "lxc", True, "lxc"),
    ],
)
def test_virtualization_has_systemd_s_names(dmi: dict[str, str], container: str | None, flag: bool, name: str) -> None:
    assert virtualization(dmi, container=container, hypervisor_type=None, cpu_flag=flag) == name


@given(st.binary(max_size=64))
def test_any_bytes_are_a_known_architecture_or_none(data: bytes) -> None:
    assert elf_architecture(data) is None or data.startswith(b"\x7fELF")


@given(st.text(max_size=200))
def test_any_proc_stat_has_a_boot_second_or_none(text: str) -> None:
    assert boot_seconds(text) is None or "btime" in text


def test_this_host_s_architecture_and_kernel_are_those_of_uname() -> None:
    row, _ = machine(Host("/", secret=b"test"))
    known = os.uname()
    assert (row.arch, row.kernel_release, row.hostname) == (known.machine, known.release, known.nodename)
    with open("/bin/sh", "rb") as file:
        assert elf_architecture(file.read(20)) == known.machine


@pytest.mark.needs_program("systemd-detect-virt")
def test_this_host_runs_in_what_systemd_detects() -> None:
    told = subprocess.run(["systemd-detect-virt"], capture_output=True, text=True, check=False).stdout.strip()
    row, _ = machine(Host("/", secret=b"test"))
    assert row.virtualization == told


def test_without_os_release_the_support_is_a_gap_as_missing_accounts_are(tree: Callable[..., Host]) -> None:
    (gap,) = os_support.collect(tree({}))
    assert gap == Gap("/usr/lib/os-release", "absent")


# -- os_support ------------------------------------------------------------------------------------------------------

CSV = """version,codename,series,created,release,eol,eol-server,eol-esm
22.04 LTS,Jammy Jellyfish,jammy,2021-10-14,2022-04-21,2027-06-01,2027-06-02,2032-04-21
99.04,Future,future,2099-01-01,2099-04-01
"""


def test_dates_come_from_the_host_s_own_list_and_say_how_old_it_is(tree: Tree, tmp_path: Path) -> None:
    host = tree({"/etc/os-release": "ID=ubuntu\nVERSION_ID=22.04\n", "/usr/share/distro-info/ubuntu.csv": CSV})
    os.utime(tmp_path / "usr/share/distro-info/ubuntu.csv", (86400, 86400))
    (row,) = os_support.collect(host)
    assert isinstance(row, Support)
    assert (row.supported_until, row.extended_until) == ("2027-06-02", "2032-04-21")
    assert (row.source, row.source_date) == ("distro-info-data", "1970-01-02")


def test_a_release_without_an_end_is_not_known() -> None:
    assert parse_distro_info(CSV, "99.04") is None
    assert parse_distro_info(CSV, "1.0") is None


@pytest.mark.parametrize("release", ["ID=debian\nVERSION_ID=99\n", "ID=homemade\nVERSION_ID=1\n"])
def test_an_unknown_release_is_a_gap_not_supported(tree: Tree, release: str) -> None:
    (gap,) = os_support.collect(tree({"/etc/os-release": release}))
    assert isinstance(gap, Gap)
    assert gap.reason == "unknown_format"


@pytest.mark.parametrize("text", ['ID=debian\nVERSION_ID="12\n', "ID=$(x)\nVERSION_ID=12\n"])
def test_a_release_whose_lines_are_not_understood_is_not_said_to_be_rolling_or_unknown(tree: Tree, text: str) -> None:
    (gap,) = os_support.collect(tree({"/etc/os-release": text}))
    assert isinstance(gap, Gap)
    assert gap.reason == "malformed"


def test_a_rolling_release_is_a_gap(tree: Tree) -> None:
    (gap,) = os_support.collect(tree({"/etc/os-release": "ID=arch\n"}))
    assert isinstance(gap, Gap)
    assert gap.reason == "unenumerable"


@pytest.mark.parametrize(
    ("os_id", "version", "until"),
    [
        ("rhel", "9.4", "2032-05-31"),
        ("rocky", "8.10", "2029-05-31"),
        ("alpine", "3.20.3", "2026-04-01"),
        ("amzn", "2023", "2027-06-30"),
        ("debian", "12", "2026-07-11"),
    ],
)
def test_others_have_bundled_dates_with_their_day(os_id: str, version: str, until: str) -> None:
    found = bundled(os_id, version)
    assert found is not None
    assert found[0].supported == until
    assert found[1].startswith("20")


@given(st.text(max_size=400), st.text(max_size=10))
def test_any_text_is_a_list_of_dates_or_none_or_malformed(text: str, version: str) -> None:
    try:
        found = parse_distro_info(text, version)
    except MalformedError:
        return
    assert found is None or found.supported in text


def test_a_list_of_dates_that_is_no_csv_is_a_gap_and_the_bundled_one_speaks(tree: Tree) -> None:
    host = tree({"/etc/os-release": DEBIAN, "/usr/share/distro-info/debian.csv": "a\rb,c"})
    gap, row = os_support.collect(host)
    assert isinstance(gap, Gap)
    assert gap.reason == "malformed"
    assert isinstance(row, Support)
    assert row.source == "bundled"


def test_every_bundled_date_is_a_day_and_every_list_says_how_old_it_is() -> None:
    lists = tomllib.loads((Path(os_support.__file__).parent / "support_dates.toml").read_text())
    for each in lists.values():
        dt.date.fromisoformat(each["as_of"])
        assert each["by"] in {"version", "major", "minor"}
        assert each["source"]
        for name, released, supported, extended in each["releases"].values():
            assert name
            assert dt.date.fromisoformat(released) < dt.date.fromisoformat(supported)
            assert not extended or extended >= supported
