"""The four tables of the sweep, on a small host: what stands in a row, and what becomes a gap."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import subprocess
from pathlib import Path

import pytest

from collectors.contract import Gap, Row, Table
from collectors.filesystem import file_capabilities, ownerless_files, privileged_files, world_writable
from collectors.filesystem.ownerless_files import OwnerlessFile
from collectors.filesystem.privileged_files import PrivilegedFile
from collectors.filesystem.world_writable import WritableEntry
from collectors.reading.host import Host
from collectors.reading.sweep import prepare
from tests.collectors.filesystem.conftest import write
from tests.collectors.reading.rpm_blobs import File, database, package_blob
from tests.collectors.reading.sweeping import NET_RAW

needs_root = pytest.mark.needs_root


def read(table: Table, host: Host) -> tuple[list[Row], list[Gap]]:
    """Return rows and gaps of a table."""
    items = list(table.collect(host))
    return [each for each in items if isinstance(each, Row)], [each for each in items if isinstance(each, Gap)]


def privileged(host: Host) -> dict[str, PrivilegedFile]:
    rows, _ = read(privileged_files.TABLE, host)
    return {row.path: row for row in rows if isinstance(row, PrivilegedFile)}


@needs_root
def test_a_privileged_file_says_whose_rights_it_gives_and_what_it_would_run(root: Path, host: Host) -> None:
    write(root / "usr/bin/passwd", "program", 0o4755)
    (row,) = privileged(host).values()
    assert row == PrivilegedFile(
        path="/usr/bin/passwd",
        path_b64=None,
        kind="suid",
        mode="4755",
        owner="root",
        uid=0,
        group="root",
        gid=0,
        size_bytes=7,
        sha256=hashlib.sha256(b"program").hexdigest(),
        package=None,
        expected=None,
        mount_nosuid=None,
    )


@needs_root
def test_a_file_on_a_file_system_of_its_own_has_its_digest_too(root: Path) -> None:
    (root / "opt").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", root / "opt"], check=True)
    try:
        write(root / "opt/su", "program", 0o4755)
        rows, gaps = read(privileged_files.TABLE, Host(str(root), secret=b"secret"))
    finally:
        subprocess.run(["umount", root / "opt"], check=True)
    assert gaps == []
    assert [(row.path, row.sha256) for row in rows if isinstance(row, PrivilegedFile)] == [
        ("/opt/su", hashlib.sha256(b"program").hexdigest())
    ]


@needs_root
def test_which_of_the_two_bits_a_file_has_is_told_apart(root: Path, host: Host) -> None:
    write(root / "a", "", 0o4755)
    write(root / "b", "", 0o2755)
    write(root / "c", "", 0o6755)
    os.chown(root / "b", 54321, 42)
    (root / "b").chmod(0o2755)
    (root / "staff").mkdir()
    (root / "staff").chmod(0o2775)
    rows = privileged(host)
    assert {path: row.kind for path, row in rows.items()} == {"/a": "suid", "/b": "sgid", "/c": "both"}
    assert (rows["/b"].owner, rows["/b"].uid, rows["/b"].group) == (None, 54321, "shadow")


@needs_root
def test_a_package_and_the_registered_mode_stand_beside_the_found_one(root: Path, host: Host) -> None:
    write(root / "usr/bin/su", "su", 0o4755)
    write(root / "usr/bin/helper", "helper", 0o4755)
    (root / "bin").symlink_to("usr/bin")
    write(root / "var/lib/dpkg/info/util-linux.list", "/.\n/bin\n/bin/su\n")
    write(root / "var/lib/dpkg/info/dbus:amd64.list", "/.\n/usr/bin/helper\n")
    write(root / "var/lib/dpkg/statoverride", "root root 4755 /bin/su\nroot shadow 4754 /usr/bin/helper\n")
    rows = privileged(host)
    assert (rows["/usr/bin/su"].package, rows["/usr/bin/su"].expected) == ("util-linux", True)
    assert (rows["/usr/bin/helper"].package, rows["/usr/bin/helper"].expected) == ("dbus", False)


def expected(root: Path, host: Host, *, shipped: File) -> bool | None:
    """Return what stands in the column for a file of mode 4755 that root and the group shadow own."""
    write(root / "usr/bin/su", "su")
    os.chown(root / "usr/bin/su", 0, 42)
    (root / "usr/bin/su").chmod(0o4755)
    (root / "var/lib/rpm/rpmdb.sqlite").unlink(missing_ok=True)
    database(root / "var/lib/rpm/rpmdb.sqlite", [package_blob("util-linux", [shipped])])
    (row,) = privileged(host).values()
    assert row.package == "util-linux"
    return row.expected


@needs_root
@pytest.mark.parametrize(
    ("shipped", "answer"),
    [
        (File("/usr/bin/su", 0o104755, "root", "shadow"), True),
        (File("/usr/bin/su", 0o100755, "root", "shadow"), False),
        (File("/usr/bin/su", 0o104755, "admin", "shadow"), False),
        (File("/usr/bin/su", 0o104755, "root", "root"), False),
        (File("/usr/bin/su", 0o104755, "root", "unheard-of"), False),
        (File("/usr/bin/su", 0o124755, "root", "shadow"), False),
        (File("/usr/bin/su", 0o044755, "root", "shadow"), False),
    ],
    ids=["as shipped", "another mode", "another owner", "another group", "no group here", "a link", "a folder"],
)
def test_a_file_of_an_rpm_package_is_expected_if_it_is_as_shipped(
    root: Path, host: Host, shipped: File, answer: bool
) -> None:
    assert expected(root, host, shipped=shipped) is answer


@needs_root
def test_where_the_name_of_a_group_is_not_known_nothing_is_expected_or_unexpected(root: Path, host: Host) -> None:
    write(root / "etc/group", "root:x:0:\n")
    assert expected(root, host, shipped=File("/usr/bin/su", 0o104755, "root", "from-ldap")) is None
    (root / "etc/group").unlink()
    assert expected(root, host, shipped=File("/usr/bin/su", 0o104755, "root", "shadow")) is None
    assert expected(root, host, shipped=File("/usr/bin/su", 0o100755, "root", "shadow")) is False


@needs_root
def test_a_capable_file_names_the_rpm_package_that_ships_it(root: Path, host: Host) -> None:
    write(root / "usr/bin/ping", "ping", 0o755)
    os.setxattr(root / "usr/bin/ping", "security.capability", NET_RAW)
    database(root / "var/lib/rpm/rpmdb.sqlite", [package_blob("iputils", [File("/usr/bin/ping")])])
    rows, gaps = read(file_capabilities.TABLE, host)
    assert [row.package for row in rows if isinstance(row, file_capabilities.CapableFile)] == ["iputils"]
    assert gaps == []


@needs_root
def test_a_file_replaced_since_the_sweep_has_no_digest_but_a_gap(root: Path, host: Host) -> None:
    write(root / "su", "first", 0o4755)
    prepare(host, (privileged_files.INTEREST,))
    write(root / "su.new", "second", 0o4755)
    os.rename(root / "su.new", root / "su")
    rows, gaps = read(privileged_files.TABLE, host)
    assert [row.sha256 for row in rows if isinstance(row, PrivilegedFile)] == [None]
    assert [(gap.source, gap.reason) for gap in gaps] == [("/su", "changed_while_read")]


@needs_root
def test_a_file_replaced_by_a_link_is_not_followed(root: Path, host: Host) -> None:
    write(root / "home/u/su", "first", 0o4755)
    write(root / "secret", "secret", 0o600)
    prepare(host, (privileged_files.INTEREST,))
    (root / "home/u/su").unlink()
    (root / "home/u/su").symlink_to("/secret")
    rows, gaps = read(privileged_files.TABLE, host)
    assert [row.sha256 for row in rows if isinstance(row, PrivilegedFile)] == [None]
    assert [(gap.source, gap.reason) for gap in gaps] == [("/home/u/su", "link_refused")]


@needs_root
def test_a_name_that_is_not_utf_8_is_shown_and_kept(root: Path, host: Host) -> None:
    name = os.path.join(os.fsencode(root), b"su\xe9")
    with open(name, "wb"):
        pass
    Path(os.fsdecode(name)).chmod(0o4755)
    (row,) = privileged(host).values()
    assert (row.path, row.path_b64) == ("/su\\xe9", "L3N16Q==")


@needs_root
def test_a_capable_file_says_what_it_grants(root: Path, host: Host) -> None:
    write(root / "bin/ping", "ping", 0o755)
    os.setxattr(root / "bin/ping", "security.capability", NET_RAW)
    rows, gaps = read(file_capabilities.TABLE, host)
    (row,) = rows
    assert isinstance(row, file_capabilities.CapableFile)
    assert (row.path, row.capabilities, row.effective, row.version) == ("/bin/ping", "cap_net_raw=ep", True, 2)
    assert (row.root_id, row.unknown_bits, row.mode, row.owner) == (None, (), "0755", "root")
    assert gaps == []


@needs_root
def test_a_capability_of_a_user_namespace_names_its_root(root: Path, host: Host) -> None:
    write(root / "ping", "ping", 0o755)
    data = struct.pack("<6I", 0x03000000, 1 << 13, 0, 0, 0, 100_000)
    os.setxattr(root / "ping", "security.capability", data)
    ((row,), _) = read(file_capabilities.TABLE, host)
    assert isinstance(row, file_capabilities.CapableFile)
    assert (row.version, row.root_id, row.capabilities, row.effective) == (3, 100_000, "cap_net_raw=p", False)


def test_an_attribute_that_is_none_is_a_gap(tmp_path: Path) -> None:
    write(tmp_path / "root/etc/passwd", "root:x:0:0::/:\n")
    facts = {"/bin/odd": {"kind": "file", "mode": "755", "uid": 0, "gid": 0, "capability": "00112233"}}
    write(tmp_path / "facts.json", json.dumps(facts))
    rows, gaps = read(file_capabilities.TABLE, Host.recorded(str(tmp_path)))
    assert rows == []
    assert Gap("/bin/odd", "malformed", "security.capability: expected revision 1, 2 or 3, found 51") in gaps


def writable(host: Host) -> dict[tuple[str, str], WritableEntry]:
    rows, _ = read(world_writable.TABLE, host)
    return {(row.path, row.kind): row for row in rows if isinstance(row, WritableEntry)}


@needs_root
def test_what_others_may_write_to_stands_with_its_kind_and_the_sticky_bit(root: Path, host: Host) -> None:
    write(root / "file", "", 0o666)
    for name, mode in (("tmp", 0o1777), ("open", 0o777)):
        (root / name).mkdir()
        (root / name).chmod(mode)
    os.mkfifo(root / "fifo")
    (root / "fifo").chmod(0o622)
    os.mknod(root / "sda", stat.S_IFBLK | 0o666, os.makedev(8, 0))
    (root / "sda").chmod(0o666)
    (root / "link").symlink_to("file")
    rows = writable(host)
    assert {key: (row.mode, row.sticky, row.count) for key, row in rows.items()} == {
        ("/file", "file"): ("0666", None, 1),
        ("/tmp", "folder"): ("1777", True, 1),
        ("/open", "folder"): ("0777", False, 1),
        ("/fifo", "fifo"): ("0622", None, 1),
        ("/sda", "block_device"): ("0666", None, 1),
    }
    assert rows["/file", "file"].owner == "root"


@needs_root
def test_a_folder_full_of_them_is_one_row_beside_its_own(root: Path, host: Host) -> None:
    for number in range(201):
        write(root / f"spool/{number}", "", 0o666)
    (root / "spool").chmod(0o777)
    rows = writable(host)
    assert set(rows) == {("/spool", "folder"), ("/spool", "entries")}
    entries = rows["/spool", "entries"]
    assert (entries.count, entries.mode, entries.owner, entries.uid) == (201, None, "root", 0)


@needs_root
def test_what_several_owners_have_too_many_of_in_one_folder_is_one_row_without_owner(root: Path, host: Host) -> None:
    for number in range(404):
        write(root / f"spool/{number}", "", 0o666)
        os.chown(root / f"spool/{number}", 1000 + number % 2, 0)
    write(root / "spool/single", "", 0o666)
    rows = writable(host)
    assert set(rows) == {("/spool/single", "file"), ("/spool", "entries")}
    entries = rows["/spool", "entries"]
    assert (entries.count, entries.owner, entries.uid) == (404, None, None)


@needs_root
def test_a_crowd_of_one_user_hides_no_privileged_or_capable_file_of_root(root: Path, host: Host) -> None:
    write(root / "tmp/rootshell", "shell", 0o4755)
    write(root / "tmp/ping", "ping", 0o755)
    os.setxattr(root / "tmp/ping", "security.capability", NET_RAW)
    write(root / "tmp/0", "", 0o4755)
    os.chown(root / "tmp/0", 1000, 1000)
    os.setxattr(root / "tmp/0", "security.capability", NET_RAW)
    (root / "tmp/0").chmod(0o4755)
    for number in range(1, 1001):
        os.link(root / "tmp/0", root / f"tmp/{number}")
    for table, path in ((privileged_files.TABLE, "/tmp/rootshell"), (file_capabilities.TABLE, "/tmp/ping")):
        rows, gaps = read(table, host)
        assert [getattr(row, "path", "") for row in rows] == [path]
        assert gaps == [Gap("/tmp", "truncated", "too many files of uid 1000 to be listed one by one", count=1001)]


@needs_root
def test_what_nobody_owns_stands_with_its_numbers(root: Path, host: Host) -> None:
    write(root / "a", "")
    write(root / "b", "")
    os.chown(root / "a", 54321, 0)
    os.chown(root / "b", 1000, 54321)
    rows, gaps = read(ownerless_files.TABLE, host)
    assert rows == [
        OwnerlessFile(path="/a", path_b64=None, kind="file", uid=54321, gid=0, count=1),
        OwnerlessFile(path="/b", path_b64=None, kind="file", uid=1000, gid=54321, count=1),
    ]
    assert gaps == []


@needs_root
def test_where_a_directory_server_knows_more_owners_a_gap_says_so(root: Path, host: Host) -> None:
    write(root / "etc/nsswitch.conf", "passwd: files systemd sss\ngroup: files [NOTFOUND=return] ldap # nis\n")
    write(root / "a", "")
    os.chown(root / "a", 54321, 0)
    _, gaps = read(ownerless_files.TABLE, host)
    assert gaps == [Gap("/etc/nsswitch.conf", "unenumerable", "ids that only ldap, sss can name look ownerless here")]


def test_without_passwd_nothing_is_called_ownerless_and_a_gap_says_why(tmp_path: Path) -> None:
    write(tmp_path / "etc/group", "root:x:0:\n")
    rows, gaps = read(ownerless_files.TABLE, Host(str(tmp_path), secret=b"secret"))
    assert (rows, gaps) == ([], [Gap("/etc/passwd", "absent")])


def test_a_recorded_host_gives_what_was_recorded_and_never_the_checkout(tmp_path: Path) -> None:
    write(tmp_path / "root/etc/passwd", "root:x:0:0::/:\n", 0o666)
    write(tmp_path / "root/etc/group", "root:x:0:\n")
    write(tmp_path / "root/bin/su", "su", 0o777)
    facts = {
        "/bin/su": {"kind": "file", "mode": "4755", "uid": 0, "gid": 0},
        "/bin/gone": {"kind": "file", "mode": "4755", "uid": 0, "gid": 0, "size_bytes": 9},
        "/tmp": {"kind": "folder", "mode": "1777", "uid": 0, "gid": 0},
    }
    write(tmp_path / "facts.json", json.dumps(facts))
    host = Host.recorded(str(tmp_path))
    rows = privileged(host)
    assert {path: row.sha256 for path, row in rows.items()} == {
        "/bin/su": hashlib.sha256(b"su").hexdigest(),
        "/bin/gone": None,
    }
    assert set(writable(host)) == {("/tmp", "folder")}
