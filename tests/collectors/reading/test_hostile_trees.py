"""What an unprivileged user can prepare, and the reader must survive: links, pipes, swaps, sizes, hung mounts."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import stat
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.host import Host
from tests.collectors.reading.hung_mounts import hung_fuse, libc
from tests.collectors.reading.planting import Plant

SECRET = b"root:$6$canary$canary:19000:0:99999:7:::\n"
KEYS = "/home/mallory/.ssh/authorized_keys"
HOME = "/home/mallory"


def reason(act: Callable[[], object]) -> str:
    """Return why a read gave nothing; the test fails if it gave something."""
    with pytest.raises(ReadError) as caught:
        act()
    assert "canary" not in str(caught.value)
    return caught.value.reason


class TestLinks:
    """H1: links planted in a tree that belongs to someone else."""

    @pytest.fixture(autouse=True)
    def _prepare(self, plant: Plant, root: Path, way: str) -> None:
        assert way
        plant("/etc/shadow", SECRET)
        (root / "home/mallory").mkdir(parents=True)

    def link(self, root: Path, place: str, target: str) -> None:
        (root / place.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (root / place.lstrip("/")).symlink_to(target)

    @pytest.mark.parametrize("target", ["/etc/shadow", "../../../etc/shadow", "../../../../../../etc/shadow"])
    def test_a_file_that_is_a_link_is_refused(self, host: Host, root: Path, target: str) -> None:
        self.link(root, KEYS, target)
        assert reason(lambda: host.read(KEYS, untrusted=HOME)) == "link_refused"

    def test_a_parent_that_is_a_link_is_refused(self, host: Host, root: Path) -> None:
        self.link(root, f"{HOME}/.ssh", "/etc")
        assert reason(lambda: host.read(f"{HOME}/.ssh/shadow", untrusted=HOME)) == "link_refused"
        assert reason(lambda: host.look(f"{HOME}/.ssh/shadow", untrusted=HOME)) == "link_refused"
        assert reason(lambda: host.names(f"{HOME}/.ssh", untrusted=HOME)) == "link_refused"
        assert reason(lambda: host.target(f"{HOME}/.ssh/shadow", untrusted=HOME)) == "link_refused"

    def test_even_a_link_to_his_own_file_is_refused(self, host: Host, root: Path, plant: Plant) -> None:
        plant(f"{HOME}/.ssh/keys", "ssh-ed25519 AAAA")
        self.link(root, KEYS, "keys")
        assert reason(lambda: host.read(KEYS, untrusted=HOME)) == "link_refused"

    def test_a_loop_is_refused(self, host: Host, root: Path) -> None:
        self.link(root, KEYS, KEYS)
        assert reason(lambda: host.read(KEYS, untrusted=HOME)) == "link_refused"
        assert reason(lambda: host.read(KEYS)) == "link_refused"

    def test_a_path_that_climbs_out_of_the_home_is_refused(self, host: Host) -> None:
        for path in (f"{HOME}/../../etc/shadow", "/etc/shadow", "/home/mallory2/x"):
            assert reason(lambda path=path: host.read(path, untrusted=HOME)) == "link_refused"  # type: ignore[misc]

    def test_a_home_reached_by_the_administrators_link_is_read(self, host: Host, root: Path, plant: Plant) -> None:
        plant("/srv/home/mallory/.profile", "x")
        (root / "home/mallory").rmdir()
        self.link(root, HOME, "/srv/home/mallory")
        assert host.read(f"{HOME}/.profile", untrusted=HOME).data == b"x"

    def test_a_link_itself_can_be_looked_at(self, host: Host, root: Path) -> None:
        self.link(root, KEYS, "/etc/shadow")
        assert host.look(KEYS, untrusted=HOME).kind == "link"
        assert host.target(KEYS, untrusted=HOME) == "/etc/shadow"

    def test_the_root_of_a_process_is_no_way_out(self, tmp_path: Path) -> None:
        live = Host("/", secret=b"")
        home = str(tmp_path)
        (tmp_path / "keys").symlink_to("/proc/self/root/etc/shadow")
        assert reason(lambda: live.read(f"{home}/keys", untrusted=home)) == "link_refused"
        assert reason(lambda: live.read(f"{home}/keys")) == "link_refused"
        assert reason(lambda: live.read("/proc/self/root/etc/passwd")) == "link_refused"
        assert reason(lambda: live.read("/proc/self/cwd/x")) == "link_refused"

    @pytest.mark.parametrize("target", ["/../../outside", "../../../outside", "/proc/self/cwd/../outside"])
    def test_a_link_of_the_administrator_stays_inside_the_root(self, host: Host, root: Path, target: str) -> None:
        self.link(root, "/etc/file", target)
        assert reason(lambda: host.read("/etc/file")) == "absent"

    def test_an_absolute_link_is_read_from_the_root_of_the_host(self, host: Host, root: Path) -> None:
        self.link(root, "/etc/copy", "/etc/shadow")
        assert host.read("/etc/copy").data == SECRET

    def test_replacing_the_root_itself_changes_nothing(self, host: Host, root: Path) -> None:
        root.rename(root.with_name("moved"))
        root.symlink_to("/")
        assert host.read("/etc/shadow").data == SECRET


def opened_meanwhile(path: Path, act: Callable[[], object]) -> bool:
    """Return whether a file was opened (inotify(7) does not see O_PATH) while a function ran."""
    in_open, non_block = 0x20, os.O_NONBLOCK
    watch = libc.inotify_init1(non_block)
    assert libc.inotify_add_watch(watch, os.fsencode(path), in_open) > 0
    try:
        act()
        return bool(os.read(watch, struct.calcsize("iIII") + 256))
    except BlockingIOError:
        return False
    finally:
        os.close(watch)


@pytest.mark.usefixtures("within_seconds")
class TestKinds:
    """H3: what is not a regular file is never opened, so that nothing blocks and no device notices."""

    def refused(self, host: Host, root: Path, name: str) -> None:
        path = root / name

        def read() -> None:
            assert reason(lambda: host.read(f"/{name}")) == "not_regular"
            assert reason(lambda: host.read(f"/{name}", untrusted="/")) == "not_regular"

        assert not opened_meanwhile(path, read)

    def test_the_watch_of_this_test_does_see_an_open(self, plant: Plant, host: Host) -> None:
        real = plant("/file", "x")
        assert opened_meanwhile(real, lambda: host.read("/file"))

    def test_fifo(self, host: Host, root: Path) -> None:
        os.mkfifo(root / "pipe")
        self.refused(host, root, "pipe")

    def test_folder(self, host: Host, root: Path) -> None:
        (root / "folder").mkdir()
        self.refused(host, root, "folder")

    def test_socket(self, host: Host, root: Path) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(root / "socket"))
            assert reason(lambda: host.read("/socket")) == "not_regular"

    @pytest.mark.needs_root
    @pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK])
    def test_device(self, host: Host, root: Path, kind: int) -> None:
        os.mknod(root / "device", kind | 0o666, os.makedev(1, 3))
        assert reason(lambda: host.look("/none")) == "absent"
        assert host.look("/device").kind in {"char_device", "block_device"}
        self.refused(host, root, "device")

    def test_a_folder_where_a_file_is_meant_to_be_listed_is_told_apart(self, host: Host, plant: Plant) -> None:
        plant("/file", "")
        assert reason(lambda: host.names("/file")) == "not_regular"
        assert reason(lambda: host.target("/file")) == "not_regular"

    def test_a_lease_on_a_file_holds_nobody_up(self, host: Host, plant: Plant) -> None:
        before = signal.signal(signal.SIGIO, signal.SIG_IGN)
        with plant("/leased", "x").open("r+b") as file:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            started = time.monotonic()
            assert reason(lambda: host.read("/leased")) == "io_error"
            assert time.monotonic() - started < 10  # a lease that is waited for takes 45 s
        signal.signal(signal.SIGIO, before)


@pytest.mark.usefixtures("within_seconds")
class TestSizes:
    """H4: what has no end is cut, and says so."""

    def test_a_sparse_terabyte_gives_its_first_bytes(self, host: Host, plant: Plant) -> None:
        os.truncate(plant("/sparse", ""), 1 << 40)
        content = host.read("/sparse", limit=1000)
        assert (content.data, content.truncated, content.facts.size_bytes) == (bytes(1000), True, 1 << 40)

    @pytest.mark.parametrize(("limit", "data", "truncated"), [(3, b"abc", False), (2, b"ab", True), (0, b"", True)])
    def test_the_limit_is_exact(self, host: Host, plant: Plant, limit: int, data: bytes, truncated: bool) -> None:
        plant("/file", "abc")
        content = host.read("/file", limit=limit)
        assert (content.data, content.truncated) == (data, truncated)

    def test_an_empty_file_is_empty_and_whole_at_any_limit(self, host: Host, plant: Plant) -> None:
        plant("/empty", "")
        assert host.read("/empty", limit=0).truncated is False

    def test_a_file_that_the_kernel_makes_up_is_read_to_its_end(self) -> None:
        live = Host("/", secret=b"")
        content = live.read("/proc/self/status")
        assert content.facts.size_bytes == 0
        assert content.data.startswith(b"Name:")
        assert content.data.endswith(b"\n")
        assert live.read("/proc/self/status", limit=5).truncated

    def test_a_made_up_file_that_would_wait_for_news_does_not(self) -> None:
        assert reason(lambda: Host("/", secret=b"").read("/proc/kmsg", limit=1 << 30)) in {
            "io_error",
            "permission_denied",
        }


def data_or_reason(host: Host) -> bytes | str:
    try:
        content = host.read(KEYS, untrusted=HOME)
    except ReadError as error:
        return error.reason
    assert content.facts.size_bytes == len(content.data)
    return content.data


SWAP: dict[str, Callable[[str], object]] = {
    "link": lambda spare: os.symlink("/etc/shadow", spare),
    "fifo": os.mkfifo,
    "folder": os.mkdir,
    "file": lambda spare: Path(spare).write_bytes(b"another"),
}


@pytest.mark.usefixtures("within_seconds")
@pytest.mark.parametrize("kind", sorted(SWAP))
def test_a_file_swapped_in_a_loop_gives_one_of_its_states_or_a_gap(
    host: Host, plant: Plant, kind: str, way: str
) -> None:
    """H2: RENAME_EXCHANGE in another process as fast as it goes; the reads never mix two files."""
    assert way
    plant("/etc/shadow", SECRET)
    real = plant(KEYS, "mine")
    spare = f"{real}.spare"
    SWAP[kind](spare)
    swapper = os.fork()
    if swapper == 0:
        names = (os.fsencode(real), os.fsencode(spare))
        while True:
            libc.renameat2(-100, names[0], -100, names[1], 2)
    seen: set[str | bytes] = set()
    try:
        until = time.monotonic() + 2
        while time.monotonic() < until and len(seen - {"changed_while_read"}) < 2:
            seen.add(data_or_reason(host))
    finally:
        os.kill(swapper, signal.SIGKILL)
        os.waitpid(swapper, 0)
    allowed = {"link": "link_refused", "fifo": "not_regular", "folder": "not_regular", "file": b"another"}
    assert seen - {"changed_while_read"} == {b"mine", allowed[kind]}


class TestChanges:
    """H2: a file that is written while it is read is a gap, not half of each."""

    @pytest.mark.parametrize(
        "write",
        [
            lambda path: path.write_bytes(b"longer than before"),
            lambda path: path.write_bytes(b"12"),
            lambda path: path.write_bytes(b"new"),
            lambda path: path.chmod(0o600),
        ],
        ids=["longer", "shorter", "same length", "mode"],
    )
    def test_written_between_the_two_looks(
        self, host: Host, plant: Plant, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
    ) -> None:
        real = plant("/file", "old")
        os.utime(real, (1, 1))
        plain_read = os.read

        def read_then_change(fd: int, length: int) -> bytes:
            data = plain_read(fd, length)
            monkeypatch.setattr(os, "read", plain_read)
            write(real)
            return data

        monkeypatch.setattr(os, "read", read_then_change)
        assert reason(lambda: host.read("/file")) == "changed_while_read"

    def test_replaced_between_the_two_looks_is_read_as_it_was(
        self, host: Host, plant: Plant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = plant("/file", "old")
        plant("/new", "new!")
        plain_read = os.read

        def read_then_replace(fd: int, length: int) -> bytes:
            monkeypatch.setattr(os, "read", plain_read)
            real.with_name("new").rename(real)
            return plain_read(fd, length)

        monkeypatch.setattr(os, "read", read_then_replace)
        # The unlinked inode's ctime changes when its last name goes, so the reader cannot call it unchanged.
        assert reason(lambda: host.read("/file")) == "changed_while_read"
        assert host.read("/file").data == b"new!"


@pytest.mark.needs_root
@pytest.mark.usefixtures("within_seconds")
class TestHungMounts:
    """H6: a FUSE server that never answers, an automount that never mounts: real ones, never touched."""

    def test_not_entered_by_name(self, host: Host, root: Path, hung: Callable[[Path], str], way: str) -> None:
        assert way
        fstype = hung(root / "data")
        for act in (
            lambda: host.read("/data/file"),
            lambda: host.look("/data/file"),
            lambda: host.look("/data"),
            lambda: host.names("/data"),
            lambda: host.target("/data/x"),
            lambda: host.read("/data/file", untrusted="/data"),
        ):
            with pytest.raises(ReadError, match=f"a {fstype} mount is never entered") as caught:
                act()
            assert caught.value.reason == "not_entered"

    def test_not_entered_through_links(self, host: Host, root: Path, hung: Callable[[Path], str], way: str) -> None:
        assert way
        (root / "etc").mkdir()
        (root / "etc" / "direct").symlink_to("/data/file")
        (root / "etc" / "parent").symlink_to("../data")
        (root / "etc" / "twice").symlink_to("parent/../etc/../data/x/..")
        hung(root / "data")
        for path in (
            "/etc/direct",
            "/etc/parent/file",
            "/etc/twice/file",
            "/etc/../data/file",
            "/etc/none/../../data/f",
        ):
            assert reason(lambda path=path: host.read(path)) in {"not_entered", "absent"}  # type: ignore[misc]
        assert reason(lambda: host.look("/etc/twice", follow=True)) == "not_entered"
        assert host.look("/etc/direct").kind == "link"

    def test_not_entered_in_a_home_behind_a_link(
        self, host: Host, root: Path, hung: Callable[[Path], str], way: str
    ) -> None:
        assert way
        (root / "srv" / "home" / "u").mkdir(parents=True)
        (root / "home").symlink_to("srv/home")
        hung(root / "srv/home/u/cloud")
        assert reason(lambda: host.read("/home/u/cloud/file", untrusted="/home/u")) == "not_entered"
        assert reason(lambda: host.read("/home/u/none", untrusted="/home/u")) == "absent"

    def test_one_that_a_user_mounts_after_the_list_was_read_is_not_entered(
        self, host: Host, plant: Plant, root: Path, hung: Callable[[Path], str], way: str
    ) -> None:
        """Anyone may mount a FUSE file system in his own folder, at the worst moment he can find."""
        assert way
        plant("/home/u/.ssh/authorized_keys", "x")
        assert host.read("/home/u/.ssh/authorized_keys", untrusted="/home/u").data == b"x"
        hung(root / "home/u/.ssh")
        assert reason(lambda: host.read("/home/u/.ssh/authorized_keys", untrusted="/home/u")) == "not_entered"
        assert reason(lambda: host.names("/home/u/.ssh", untrusted="/home/u")) == "not_entered"

    def test_beside_it_links_and_files_are_read_as_ever(
        self, host: Host, root: Path, plant: Plant, hung: Callable[[Path], str]
    ) -> None:
        plant("/usr/lib/os-release", "ID=debian\n")
        plant("/database", "x")
        (root / "etc").mkdir()
        (root / "etc" / "os-release").symlink_to("../usr/lib/os-release")
        hung(root / "data")
        assert host.read("/etc/os-release").data == b"ID=debian\n"
        assert host.read("/database").data == b"x"
        assert host.names("/") == ["data", "database", "etc", "usr"]

    def test_on_the_live_host_too(self, tmp_path: Path, hung: Callable[[Path], str]) -> None:
        hung(tmp_path / "data")
        live = Host("/", secret=b"")
        assert reason(lambda: live.read(f"{tmp_path}/data/file")) == "not_entered"
        assert live.read("/etc/passwd").data

    def test_a_mount_over_an_automount_is_entered(self, host: Host, root: Path, hung: Callable[[Path], str]) -> None:
        hung(root / "data")
        assert libc.mount(b"none", os.fsencode(root / "data"), b"tmpfs", 0, None) == 0
        try:
            (root / "data" / "file").write_text("local")
            assert host.read("/data/file").data == b"local"
        finally:
            libc.umount2(os.fsencode(root / "data"), 2)

    def test_reached_by_an_unlisted_name_it_is_known_by_its_device(self, host: Host, root: Path) -> None:
        """A mount that moved after the table was read; FUSE answers for its root without its server."""
        (root / "later").mkdir()
        with hung_fuse(root / "data"):
            assert host.refused
            assert libc.mount(os.fsencode(root / "data"), os.fsencode(root / "later"), None, 0x2000, None) == 0
            assert reason(lambda: host.look("/later")) == "not_entered"
            libc.umount2(os.fsencode(root / "later"), 2)


@pytest.mark.usefixtures("within_seconds")
class TestNames:
    """H5: folders with a million names, and names that are no text."""

    def test_more_names_than_the_limit_is_truncated_not_cut(self, host: Host, plant: Plant) -> None:
        for number in range(5):
            plant(f"/many/{number}", "")
        assert reason(lambda: host.names("/many", limit=4)) == "truncated"
        assert host.names("/many", limit=5) == ["0", "1", "2", "3", "4"]

    def test_names_come_back_whole_and_sorted_by_their_bytes(self, host: Host, root: Path) -> None:
        raw = [
            b"a\nb",
            b"\x1b[31m",
            b"\xff\xfe",
            "\u202egnp".encode(),
            b"plain",
            "\U0001f600".encode(),
            b"\xef\xbf\xbd",
        ]
        for name in raw:
            (root / os.fsdecode(name)).touch()
        names = host.names("/")
        assert [os.fsencode(name) for name in names] == sorted(raw)
        assert all(host.read(f"/{name}").data == b"" for name in names)

    @pytest.mark.parametrize("path", ["relative", "", "/nul\0/x", "/lone\ud800"])
    def test_a_path_that_is_none_is_a_gap_not_a_crash(self, host: Host, path: str) -> None:
        for act in (host.read, host.look, host.names, host.target):
            with pytest.raises(ReadError) as caught:
                act(path)
            assert caught.value.reason == "malformed"
            assert caught.value.gap().source is not None

    def test_a_path_too_long_or_too_deep_is_a_gap(self, host: Host, way: str) -> None:
        assert way
        assert reason(lambda: host.read("/" + "a" * 256)) == "io_error"
        assert reason(lambda: host.read("/" + "a/" * 10_000)) in {"io_error", "absent"}

    def test_a_tree_a_thousand_deep_is_reached(self, host: Host, root: Path, way: str) -> None:
        assert way
        here = os.open(root, os.O_RDONLY)
        for _ in range(900):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(here)
        assert host.names("/" + "d/" * 900) == []


class TestPermissions:
    @pytest.fixture
    def public(self) -> Iterator[Path]:
        """Return a folder that the user nobody can reach, unlike those of pytest."""
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)  # noqa: S103  the test is about who is let in
            (Path(folder) / "file").write_text("x")
            yield Path(folder)

    def test_what_may_not_be_read_is_denied_and_not_absent(self, public: Path) -> None:
        (public / "secret").touch(0)
        (public / "closed").mkdir()
        (public / "closed" / "file").touch()
        (public / "closed").chmod(0)

        def reasons() -> list[str]:
            host = Host(str(public), secret=b"")
            return [
                reason(lambda: host.read("/secret")),
                reason(lambda: host.look("/closed/file")),
                reason(lambda: host.names("/closed")),
            ]

        assert as_nobody(reasons) == ["permission_denied"] * 3
        (public / "closed").chmod(0o755)

    def test_another_users_file_is_read_though_its_access_time_may_not_be_spared(self, public: Path) -> None:
        assert as_nobody(lambda: [Host(str(public), secret=b"").read("/file").data.decode()]) == ["x"]

    def test_the_access_time_is_left_alone_where_it_may_be(self, host: Host, plant: Plant) -> None:
        real = plant("/file", "x")
        os.utime(real, (1, 1))
        host.read("/file")
        assert real.stat().st_atime == 1

    def test_absent_is_not_denied(self, host: Host, plant: Plant) -> None:
        plant("/file", "")
        for path in ("/none", "/none/deeper", "/file/below"):
            with pytest.raises(AbsentError):
                host.read(path)


def as_nobody(act: Callable[[], list[str]]) -> list[str]:
    """Return what a function returns in a process that has no rights (this one, if it has none)."""
    if os.geteuid() != 0:
        return act()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # dumpable again, or /proc/self/fd is root's
            os.write(writing, "\n".join(act()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as said:
        return said.read().split("\n")
