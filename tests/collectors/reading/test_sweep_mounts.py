"""Which mounts are walked: each local one once, none that another machine answers for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from collectors.reading.host import Host
from collectors.reading.mounts import Mount, parse_mountinfo
from collectors.reading.sweep import Finding, prepare
from collectors.reading.sweep_mounts import MountMap, Plan, plan
from tests.collectors.reading.hung_mounts import HUNG
from tests.collectors.reading.sweeping import PRIVILEGED, WRITABLE, gaps, make, paths, swept


def planned(*lines: str) -> Plan:
    """Return the plan for mounts written as `id parent major:minor root target options fstype`."""
    text = ""
    for line in lines:
        number, parent, device, root, target, options, fstype = line.split()
        text += f"{number} {parent} {device} {root} {target} {options} - {fstype} source rw\n"
    return plan(parse_mountinfo(text.encode()))


def starts(found: Plan) -> list[str]:
    return [start.path for start in found.starts]


ROOT = "20 1 8:1 / / rw ext4"


def test_without_a_list_of_mounts_only_the_root_is_walked() -> None:
    assert starts(plan(())) == ["/"]


def test_every_local_file_system_is_walked_in_memory_or_on_disk() -> None:
    found = planned(ROOT, "21 20 8:2 / /home rw xfs", "22 20 0:30 / /tmp rw tmpfs", "23 20 0:6 / /dev rw devtmpfs")
    assert starts(found) == ["/", "/home", "/tmp", "/dev"]
    assert found.gaps == ()


def test_the_kernels_own_file_systems_are_neither_walked_nor_missed() -> None:
    found = planned(
        ROOT, "21 20 0:4 / /proc rw proc", "22 20 0:5 / /sys rw sysfs", "23 22 0:7 / /sys/fs/cgroup rw cgroup2"
    )
    assert (starts(found), found.gaps) == (["/"], ())
    assert found.points.below["proc"].mounted


@pytest.mark.parametrize("fstype", ["nfs4", "cifs", "fuse.sshfs", "fuse", "autofs", "9p"])
def test_what_may_hang_is_a_gap_that_names_its_kind(fstype: str) -> None:
    found = planned(ROOT, f"21 20 0:40 / /srv/data rw {fstype}")
    assert starts(found) == ["/"]
    (gap,) = found.gaps
    assert (gap.source, gap.reason) == ("/srv/data", "not_entered")
    assert fstype in gap.detail


def test_a_root_on_the_network_is_walked_since_all_else_is_read_from_it() -> None:
    found = planned("20 1 0:40 / / rw nfs4")
    assert (starts(found), found.gaps) == (["/"], ())


def test_a_bind_mount_is_walked_where_the_folder_it_shows_is() -> None:
    found = planned(ROOT, "21 20 8:1 /srv/data /export rw ext4")
    assert starts(found) == ["/"]
    assert found.points.below["export"].mounted


def test_a_disk_mounted_twice_is_walked_once() -> None:
    found = planned(ROOT, "21 20 8:2 / /first rw ext4", "22 20 8:2 / /second rw ext4")
    assert starts(found) == ["/", "/first"]


def test_a_bind_mount_of_what_another_mount_covers_is_walked() -> None:
    found = planned(ROOT, "21 20 8:2 / /srv rw ext4", "22 20 8:1 /srv/hidden /mnt rw ext4")
    assert starts(found) == ["/", "/srv", "/mnt"]


def test_subvolumes_of_one_btrfs_are_each_walked() -> None:
    found = planned("20 1 0:30 /@ / rw btrfs", "21 20 0:30 /@home /home rw btrfs", "22 20 0:30 /@/opt /also rw btrfs")
    assert starts(found) == ["/", "/home"]
    assert found.starts[1].device is None


def test_the_mount_on_top_counts_and_those_below_a_covered_one_cannot_be_reached() -> None:
    found = planned(
        ROOT, "21 20 8:2 / /a rw ext4", "22 21 8:3 / /a/b rw ext4", "23 21 8:4 / /a rw ext4", "24 23 8:5 / /a/c rw xfs"
    )
    assert starts(found) == ["/", "/a", "/a/c"]
    assert found.starts[1].device == parse_mountinfo(b"1 1 8:4 / / rw - ext4 s rw")[0].device
    assert "b" not in found.points.below["a"].below


def test_the_root_an_initramfs_left_behind_is_not_walked() -> None:
    found = planned("1 1 0:2 / / rw rootfs", "20 1 8:1 / / rw ext4", "21 20 8:2 / /home rw ext4")
    assert starts(found) == ["/", "/home"]


def test_a_chroot_whose_root_is_no_mount_is_walked_with_what_is_mounted_in_it() -> None:
    found = planned("21 20 8:2 / /home rw ext4", "22 21 0:30 / /home/tmp rw tmpfs")
    assert starts(found) == ["/", "/home", "/home/tmp"]


def test_roots_of_containers_are_one_gap_with_their_count() -> None:
    store = "/var/lib/docker/overlay2"
    found = planned(ROOT, f"21 20 0:50 / {store}/a/merged rw overlay", f"22 20 0:51 / {store}/b/merged rw overlay")
    assert starts(found) == ["/"]
    (gap,) = found.gaps
    assert (gap.source, gap.reason, gap.count) == (store, "not_entered", 2)


def test_an_overlay_that_the_host_runs_from_is_walked() -> None:
    assert starts(planned(ROOT, "21 20 0:50 / /usr ro overlay")) == ["/", "/usr"]
    assert starts(planned("20 1 0:50 / / rw overlay")) == ["/"]


def test_the_map_says_whether_a_mount_ignores_privileges() -> None:
    mounts = parse_mountinfo(b"20 1 8:1 / / rw - ext4 s rw\n21 20 8:2 / /home rw,nosuid - ext4 s rw\n")
    places = MountMap(mounts)
    assert (places.nosuid("/bin/su"), places.nosuid("/home/u/su"), places.nosuid("/homely")) == (False, True, False)
    assert MountMap(()).nosuid("/bin/su") is None


def test_a_start_on_another_device_than_listed_is_a_gap(tmp_path: Path) -> None:
    make(tmp_path, [("mnt/su", 0o4755)])
    harvest = swept(tmp_path, PRIVILEGED, route=plan(()))
    assert paths(harvest) == ["/mnt/su"]
    elsewhere = planned(ROOT, "21 20 99:99 / /mnt rw ext4")
    harvest = swept(tmp_path, PRIVILEGED, route=elsewhere)
    assert paths(harvest) == []
    assert [(gap.source, gap.reason) for gap in gaps(harvest)] == [("/mnt", "not_entered")]


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_is_touched_where_something_is_mounted(tmp_path: Path, workers: int) -> None:
    make(tmp_path, [("a/srv/nfs/su", 0o4755), ("a/srv/su", 0o4755), ("a/su", 0o4755)])
    found = planned(ROOT, "21 20 0:40 / /a/srv/nfs rw nfs4")
    assert paths(swept(tmp_path, PRIVILEGED, route=found, workers=workers)) == ["/a/srv/su", "/a/su"]


@pytest.mark.needs_root
def test_a_file_that_was_bound_over_another_is_seen_as_itself(tmp_path: Path) -> None:
    make(tmp_path, [("real", 0o4755), ("etc/target", 0o644)])
    subprocess.run(["mount", "--bind", tmp_path / "real", tmp_path / "etc/target"], check=True)
    try:
        device = tmp_path.stat().st_dev
        route = plan(
            (
                Mount("/", "s", "ext4", (), device=device, root="/", id=20, parent=1),
                Mount("/etc/target", "s", "ext4", (), device=device, root="/hidden/real", id=21, parent=20),
                Mount("/hidden", "s", "tmpfs", (), device=0, root="/", id=22, parent=20),
            )
        )
        harvest = swept(tmp_path, PRIVILEGED, route=route)
    finally:
        subprocess.run(["umount", tmp_path / "etc/target"], check=True)
    assert paths(harvest) == ["/etc/target", "/real"]


@pytest.mark.needs_root
def test_a_mount_that_no_list_names_is_a_gap(tmp_path: Path) -> None:
    make(tmp_path, [("mnt/x", 0o644), ("su", 0o4755)])
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path / "mnt"], check=True)
    try:
        make(tmp_path, [("mnt/su", 0o4755)])
        harvest = swept(tmp_path, PRIVILEGED)
    finally:
        subprocess.run(["umount", tmp_path / "mnt"], check=True)
    assert paths(harvest) == ["/su"]
    assert [(gap.source, gap.reason) for gap in gaps(harvest)] == [("/mnt", "not_entered")]


@pytest.mark.needs_root
def test_a_local_mount_inside_an_image_is_walked_from_its_own_start(tmp_path: Path) -> None:
    make(tmp_path, [("mnt/x", 0o644), ("etc/passwd", 0o644)])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nosuid", "tmpfs", tmp_path / "mnt"], check=True)
    try:
        make(tmp_path, [("mnt/su", 0o4755)])
        host = Host(str(tmp_path), secret=b"secret")
        prepare(host, (PRIVILEGED, WRITABLE))
        found = [item.path for item in host.found(PRIVILEGED) if isinstance(item, Finding)]
    finally:
        subprocess.run(["umount", tmp_path / "mnt"], check=True)
    assert found == ["/mnt/su"]


@pytest.mark.needs_root
@pytest.mark.parametrize("kind", sorted(HUNG))
def test_a_mount_that_never_answers_does_not_hold_the_walk_up(tmp_path: Path, kind: str) -> None:
    make(tmp_path, [("su", 0o4755)])
    with HUNG[kind](tmp_path / "hung"):
        host = Host(str(tmp_path), secret=b"secret")
        prepare(host, (PRIVILEGED,))
        items = list(host.found(PRIVILEGED))
    assert [item.path for item in items if isinstance(item, Finding)] == ["/su"]
    assert [(item.source, item.reason) for item in items if not isinstance(item, Finding)] == [("/hung", "not_entered")]  # type: ignore[union-attr]
