"""Which mounts a host has, and which of them are never entered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.reading.host import Host
from collectors.reading.mounts import INHERITED, Mount, Refused, below, inherited, on_top, parse_mountinfo
from tests.collectors.reading.hung_mounts import MNT_DETACH, libc
from tests.collectors.reading.planting import Plant
from tests.fuzz.fuzz_mountinfo import target

LINE = b"36 35 98:0 /mnt1 /mnt/two rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue\n"


def mount(target: str, fstype: str = "ext4", *, number: int = 0, parent: int = 0) -> Mount:
    return Mount(target, "none", fstype, ("rw",), os.makedev(0, 50), id=number, parent=parent)


def test_a_line_of_the_manual_page_is_read() -> None:
    assert parse_mountinfo(LINE) == (
        Mount("/mnt/two", "/dev/root", "ext3", ("rw", "noatime"), os.makedev(98, 0), "/mnt1", 36, 35),
    )


def test_a_descriptor_that_was_handed_down_is_read_in_place_of_what_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    given = os.open("/proc/1/mountinfo", os.O_RDONLY)
    other = os.open("/proc/version", os.O_RDONLY)
    try:
        monkeypatch.setenv(INHERITED, str(given))
        assert inherited() == Path("/proc/1/mountinfo").read_bytes()
        assert inherited(), "a second time, since two tables may ask"
        assert Host("/", secret=b"").mounts() == parse_mountinfo(Path("/proc/1/mountinfo").read_bytes())
        for text in (str(other), "", "-1", "999999", "x", "9" * 40):
            monkeypatch.setenv(INHERITED, text)
            assert inherited() is None
    finally:
        os.close(given)
        os.close(other)


def test_a_line_without_optional_fields_is_read() -> None:
    (found,) = parse_mountinfo(b"22 27 0:21 / /proc rw,relatime - proc proc rw\n")
    assert (found.target, found.fstype, found.is_pseudo) == ("/proc", "proc", True)


def test_octal_escapes_are_undone_once_and_bytes_come_back_whole() -> None:
    line = rb"1 0 0:1 / /a\040b\011c\012d\134040\377 rw - fuse.s\040h u\040v rw"
    (found,) = parse_mountinfo(line)
    assert os.fsencode(found.target) == b"/a b\tc\nd\\040\xff"
    assert (found.fstype, found.source) == ("fuse.s h", "u v")


def test_an_empty_source_is_not_a_malformed_line() -> None:
    assert parse_mountinfo(b"1 0 0:1 / /x rw - tmpfs  rw\n")[0].source == ""


@pytest.mark.parametrize(
    "line",
    [b"", b"nonsense", b"1 0 0:1 / /x rw", b"1 0 zero / /x rw - a b c", b"1 0 0:1 / - a b c", b"x 0 0:1 / /x rw - a b"],
)
def test_a_line_of_another_shape_is_passed_over_and_the_next_is_read(line: bytes) -> None:
    assert [each.target for each in parse_mountinfo(line + b"\n" + LINE)] == ["/mnt/two"]


@given(st.one_of(st.binary(max_size=300), st.text("0129:/ -\\rwnfs\n", max_size=80).map(str.encode)))
def test_any_bytes_are_mounts_or_nothing(data: bytes) -> None:
    target(data)


def test_this_machine_is_read_as_the_kernel_tells_it_elsewhere() -> None:
    """The older table, /proc/self/mounts, names the same mounts in the same order."""
    mounts = parse_mountinfo(Path("/proc/self/mountinfo").read_bytes())
    older = [line.split(b" ")[1:3] for line in Path("/proc/self/mounts").read_bytes().splitlines()]
    assert [[os.fsencode(each.target), os.fsencode(each.fstype)] for each in mounts] == older


@pytest.mark.parametrize(
    "fstype", ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "autofs", "fuse", "fuseblk", "fuse.sshfs", "fuse.lxcfs"]
)
def test_what_may_never_answer_is_refused(fstype: str) -> None:
    assert mount("/x", fstype).is_refused


@pytest.mark.parametrize(
    "fstype", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "devtmpfs", "overlay", "fusectl", "squashfs"]
)
def test_what_is_local_is_not(fstype: str) -> None:
    assert not mount("/x", fstype).is_refused


def test_a_refused_mount_covers_what_is_below_it_and_no_name_that_begins_alike() -> None:
    refused = Refused([mount("/data", "nfs"), mount("/", "nfs"), mount("/srv")])
    assert refused
    assert [bool(refused.over(path)) for path in ("/data", "/data/x", "/database", "/", "/srv/x")] == [
        True,
        True,
        False,
        False,  # the root itself is entered whatever it is
        False,
    ]


def test_a_disk_mounted_by_autofs_covers_it() -> None:
    automount, disk = mount("/data", "autofs", number=5, parent=1), mount("/data", number=9, parent=5)
    assert on_top([automount, disk]) == (disk,)
    assert on_top([disk, automount]) == (disk,)
    assert not Refused([automount, disk])


def test_a_network_mount_over_a_local_one_is_refused() -> None:
    assert Refused([mount("/data", number=5, parent=1), mount("/data", "nfs", number=9, parent=5)])


def test_a_mount_below_another_does_not_cover_it() -> None:
    above, inside = mount("/net", "autofs", number=5, parent=1), mount("/net/a", "nfs", number=9, parent=5)
    assert on_top([above, inside]) == (above, inside)


def test_mounts_below_a_folder_are_named_from_inside_it() -> None:
    mounts = [mount("/"), mount("/mnt/image"), mount("/mnt/image/srv", "nfs"), mount("/mnt/image2")]
    assert [each.target for each in below(mounts, "/mnt/image")] == ["/srv"]
    assert [each.target for each in below(mounts, "/")] == ["/mnt/image", "/mnt/image/srv", "/mnt/image2"]


class TestOfAHost:
    def test_the_live_host_tells_those_of_process_one(self) -> None:
        mounts = Host("/", secret=b"").mounts()
        assert {"/", "/proc"} <= {each.target for each in mounts}

    def test_a_bare_image_has_none(self, host: Host) -> None:
        assert host.mounts() == ()
        assert not host.refused

    def test_a_tree_copied_with_its_mountinfo_tells_its_own(self, host: Host, plant: Plant) -> None:
        plant("/proc/1/mountinfo", b"9 8 0:50 / /srv rw - nfs4 server:/x rw\n")
        plant("/srv/file", "x")
        assert [each.target for each in host.mounts()] == ["/srv"]
        assert host.refused.over("/srv/file")

    @pytest.mark.needs_root
    def test_what_this_machine_mounted_inside_an_image_is_known(self, host: Host, root: Path) -> None:
        (root / "a b").mkdir()
        assert libc.mount(b"none", os.fsencode(root / "a b"), b"tmpfs", 0, None) == 0
        try:
            assert [(each.target, each.fstype) for each in host.mounts()] == [("/a b", "tmpfs")]
        finally:
            libc.umount2(os.fsencode(root / "a b"), MNT_DETACH)

    def test_looking_for_mounts_is_not_what_a_collector_read(self, host: Host, plant: Plant) -> None:
        plant("/proc/1/mountinfo", LINE)
        host.mounts()
        assert (host.opened, host.cost.files) == ([], 0)
