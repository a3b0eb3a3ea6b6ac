"""Mounts that a service unit has laid over its own view of the host: entered by name, since no user can make one."""

from __future__ import annotations

import pytest

from collectors.reading.mounts import Refused, parse_mountinfo

HOSTS = parse_mountinfo(b"""\
21 1 8:1 / / rw - ext4 /dev/sda1 rw
22 21 8:2 / /var rw - ext4 /dev/sda2 rw
""")
OURS = parse_mountinfo(b"""\
31 30 8:1 / / ro - ext4 /dev/sda1 rw
32 31 8:2 / /var ro - ext4 /dev/sda2 rw
33 31 8:1 /usr/lib /usr/lib rw - ext4 /dev/sda1 rw
34 33 8:1 /usr/lib/x /usr/lib/x ro - ext4 /dev/sda1 rw
35 31 8:1 /usr/bin/python3.11 /usr/bin/python3.11 rw - ext4 /dev/sda1 rw
36 31 0:40 / /home/mia/mnt rw - fuse.sshfs mia@elsewhere rw
""")


@pytest.mark.parametrize(
    ("path", "folder", "nearest"),
    [
        ("/usr/lib/a/b", "/", "/usr/lib"),
        ("/usr/lib/x/y", "/", "/usr/lib/x"),
        ("/usr/lib", "/", "/usr/lib"),
        ("/usr/bin/python3.11", "/", "/usr/bin/python3.11"),
        ("/usr/library/a", "/", "/"),
        ("/usr/lib/a/b", "/usr/lib/a", "/usr/lib/a"),
        ("/var/lib/a", "/", "/"),
        ("/home/mia/mnt/a", "/home/mia", "/home/mia"),
    ],
)
def test_a_way_begins_at_the_deepest_mount_that_only_this_process_has(path: str, folder: str, nearest: str) -> None:
    assert Refused(HOSTS, own=OURS).nearest(path, folder) == nearest


def test_a_process_with_the_hosts_mounts_has_none_of_its_own() -> None:
    assert Refused(HOSTS, own=HOSTS).nearest("/var/lib/a", "/") == "/"
