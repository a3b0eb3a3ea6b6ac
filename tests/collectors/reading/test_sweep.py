"""One walk for all: what is found, in ordinary trees and in those made to be hard to walk."""

from __future__ import annotations

import os
import resource
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collectors.contract import Gap
from collectors.reading.host import Host
from collectors.reading.sweep import Budget, Crowd, Finding, Interest, prepare
from collectors.reading.sweep_walk import KEPT_OPEN
from tests.collectors.reading.sweeping import (
    ANY_NAME,
    CAPABLE,
    NET_RAW,
    OWNERLESS,
    PRIVILEGED,
    WRITABLE,
    crowds,
    gaps,
    make,
    paths,
    swept,
)


@contextmanager
def standing_in(folder: Path) -> Iterator[None]:
    before = os.open(".", os.O_RDONLY)
    os.chdir(folder)
    try:
        yield
    finally:
        os.fchdir(before)
        os.close(before)


def chain(root: Path, depth: int, *, beside: str = "") -> None:
    """Make folders one in another, deeper than any path can say, each with a folder `beside` the next one."""
    with standing_in(root):
        for _ in range(depth):
            if beside:
                os.mkdir(beside)
            os.mkdir("d")
            os.chdir("d")
        Path("deepest").touch(mode=0o600)
        Path("deepest").chmod(0o4755)


def unchain(root: Path) -> None:
    """Remove what `chain` made, from the deepest up; shutil.rmtree would recurse as deep."""
    with standing_in(root):
        depth = 0
        while os.path.isdir("d"):
            os.chdir("d")
            depth += 1
        for _ in range(depth):
            for name in os.listdir():
                os.rmdir(name) if os.path.isdir(name) else os.unlink(name)
            os.chdir("..")
            os.rmdir("d")


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """Return a folder for deep trees, in memory if there is such a place: on a disk each takes seconds."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)
        unchain(Path(name))


def test_each_interest_is_shown_what_it_asked_for_and_nothing_else(tmp_path: Path) -> None:
    make(tmp_path, [("bin/su", 0o4755), ("bin/wall", 0o2755), ("bin/ls", 0o755), ("note.txt", 0o646)])
    harvest = swept(tmp_path, PRIVILEGED, WRITABLE, Interest("notes", suffixes=(".txt", ".md")))
    assert paths(harvest, 0) == ["/bin/su", "/bin/wall"]
    assert paths(harvest, 1) == ["/note.txt"]
    assert paths(harvest, 2) == ["/note.txt"]


def test_a_finding_carries_what_the_file_is(tmp_path: Path) -> None:
    make(tmp_path, [("su", 0o4711)])
    os.utime(tmp_path / "su", (1, 1_700_000_000))
    status = (tmp_path / "su").stat()
    (found,) = swept(tmp_path, PRIVILEGED).found(0)
    assert isinstance(found, Finding)
    assert (found.facts.kind, found.facts.mode, found.facts.mtime) == ("file", 0o4711, 1_700_000_000.0)
    assert (found.facts.device, found.facts.inode, found.facts.links) == (status.st_dev, status.st_ino, 1)


def test_kinds_narrow_an_interest(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder").chmod(0o777)
    make(tmp_path, [("file", 0o666)])
    only = Interest("folders", mode_any=stat.S_IWOTH, kinds=frozenset({"folder"}))
    assert paths(swept(tmp_path, only)) == ["/folder"]


def test_the_root_itself_is_looked_at(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert paths(swept(tmp_path, WRITABLE)) == ["/"]


def test_links_are_neither_followed_nor_judged_by_their_own_bits(tmp_path: Path) -> None:
    make(tmp_path, [("real/file", 0o666)])
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "file").symlink_to("real/file")
    (tmp_path / "loop").symlink_to("..")
    assert paths(swept(tmp_path, WRITABLE)) == ["/real/file"]


def test_pipes_and_sockets_are_seen_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "fifo").chmod(0o666)
    with socket.socket(socket.AF_UNIX) as listener, standing_in(tmp_path):
        listener.bind("socket")
        Path("socket").chmod(0o666)
    assert paths(swept(tmp_path, WRITABLE)) == ["/fifo", "/socket"]


def test_names_are_kept_byte_for_byte(tmp_path: Path) -> None:
    hostile = [b"new\nline", b"esc\x1b[31m", "bidi\u202eexe".encode(), b"latin\xe9", b"\xff\xfe", b"-rf", b"*"]
    for name in hostile:
        folder = os.path.join(os.fsencode(tmp_path), name)
        os.mkdir(folder)
        with open(os.path.join(folder, name), "wb"):
            pass
        Path(os.fsdecode(os.path.join(folder, name))).chmod(0o4755)
    found = {os.fsencode(path) for path in paths(swept(tmp_path, PRIVILEGED))}
    assert found == {b"/" + name + b"/" + name for name in hostile}


@pytest.mark.needs_root
def test_a_capability_is_read_from_what_may_be_executed(tmp_path: Path) -> None:
    make(tmp_path, [("bin/ping", 0o755), ("bin/plain", 0o755), ("data", 0o644)])
    os.setxattr(tmp_path / "bin/ping", "security.capability", NET_RAW)
    os.setxattr(tmp_path / "data", "security.capability", NET_RAW)
    before = os.getcwd()
    (found,) = swept(tmp_path, CAPABLE).found(0)
    assert isinstance(found, Finding)
    assert (found.path, found.capability) == ("/bin/ping", NET_RAW)
    assert os.getcwd() == before


@pytest.mark.needs_root
def test_an_unknown_uid_or_gid_makes_an_entry_ownerless_links_too(tmp_path: Path) -> None:
    make(tmp_path, [("known", 0o600), ("by-uid", 0o600), ("by-gid", 0o600)])
    (tmp_path / "link").symlink_to("known")
    os.chown(tmp_path / "by-uid", 54321, 0)
    os.chown(tmp_path / "by-gid", 0, 54321)
    os.chown(tmp_path / "link", 54321, 0, follow_symlinks=False)
    assert paths(swept(tmp_path, OWNERLESS)) == ["/by-gid", "/by-uid", "/link"]


def test_many_in_one_folder_become_one_crowd_with_their_count(tmp_path: Path) -> None:
    make(tmp_path, [(f"spool/{number}", 0o666) for number in range(30)] + [("single", 0o666)])
    some = Interest("writable", mode_any=stat.S_IWOTH, crowd=29)
    owner = os.geteuid(), os.getegid()
    harvest = swept(tmp_path, some)
    assert crowds(harvest) == [Crowd("/spool", 30, *owner)]
    assert paths(harvest) == ["/single"]


@pytest.mark.needs_root
@pytest.mark.parametrize("workers", [1, 2])
def test_a_crowd_folds_its_own_owner_and_everybody_elses_are_listed_roots_first(tmp_path: Path, workers: int) -> None:
    make(tmp_path, [(f"spool/{number}", 0o666) for number in range(30)])
    make(tmp_path, [("spool/zz-of-root", 0o666), ("spool/of-another", 0o666)])
    for number in range(30):
        os.chown(tmp_path / f"spool/{number}", 1, 1)
    os.chown(tmp_path / "spool/of-another", 2, 2)
    harvest = swept(tmp_path, Interest("writable", mode_any=stat.S_IWOTH, crowd=29), workers=workers)
    assert crowds(harvest) == [Crowd("/spool", 30, 1, 1)]
    findings = [item.path for item in harvest.found(0) if isinstance(item, Finding)]
    assert findings == ["/spool/zz-of-root", "/spool/of-another"]


@pytest.mark.needs_root
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("budget", [Budget(findings=12), Budget(finding_bytes=1500)])
def test_what_others_make_never_uses_up_the_room_for_what_root_owns(
    tmp_path: Path, budget: Budget, workers: int
) -> None:
    make(tmp_path, [(f"{number}/file", 0o666) for number in range(100)] + [("root/a", 0o666), ("a/root/b", 0o666)])
    for number in range(100):
        os.chown(tmp_path / f"{number}/file", 1, 1)
    harvest = swept(tmp_path, WRITABLE, budget=budget, workers=workers)
    (gap,) = gaps(harvest)
    assert {"/root/a", "/a/root/b"} < set(paths(harvest))
    assert (gap.reason, gap.count) == ("truncated", 102 - len(paths(harvest)))


@pytest.mark.parametrize(("depth", "beside", "workers"), [(3000, "", 1), (3000, "b", 1), (10_000, "b", 2)])
def test_a_tree_deeper_than_any_path_is_walked_to_its_end(deep: Path, depth: int, beside: str, workers: int) -> None:
    chain(deep, depth, beside=beside)
    harvest = swept(deep, PRIVILEGED, workers=workers)
    assert paths(harvest) == ["/" + "d/" * depth + "deepest"]
    assert harvest.folders == 1 + depth + (depth if beside else 0)
    assert gaps(harvest) == []


def test_a_deep_tree_needs_few_descriptors(deep: Path) -> None:
    chain(deep, 300, beside="b")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + KEPT_OPEN + 12, hard))
    try:
        harvest = swept(deep, PRIVILEGED)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(paths(harvest)) == 1
    assert gaps(harvest) == []


def test_without_descriptors_every_folder_that_was_not_read_is_a_gap(tmp_path: Path) -> None:
    make(tmp_path, [(f"{number}/file", 0o666) for number in range(3)])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 4, hard))
    try:
        harvest = swept(tmp_path, WRITABLE)
    except OSError:
        return  # not even the root could be opened: the table fails, which is no pass either
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(paths(harvest)) + sum(gap.count for gap in gaps(harvest)) >= 1
    assert {gap.reason for gap in gaps(harvest)} <= {"io_error"}


def test_a_path_past_its_budget_is_not_entered(deep: Path) -> None:
    chain(deep, 60)
    harvest = swept(deep, PRIVILEGED, budget=Budget(path=100))
    (gap,) = gaps(harvest)
    assert (gap.reason, gap.source) == ("not_entered", "/" + "/".join("d" * 49))


@pytest.mark.parametrize("workers", [1, 2])
def test_past_the_budget_of_entries_the_rest_is_truncated_with_counts(tmp_path: Path, workers: int) -> None:
    make(tmp_path, [(f"{number}/file", 0o666) for number in range(200)])
    harvest = swept(tmp_path, WRITABLE, workers=workers, budget=Budget(entries=250))
    assert 0 < len(paths(harvest)) < 200
    assert {gap.reason for gap in gaps(harvest)} == {"truncated"}
    assert harvest.entries <= 251 * workers


def test_a_budget_that_is_just_enough_leaves_no_gap(tmp_path: Path) -> None:
    make(tmp_path, [("a", 0o666), ("b", 0o666)])
    assert gaps(swept(tmp_path, WRITABLE, budget=Budget(entries=2))) == []
    assert gaps(swept(tmp_path, WRITABLE, budget=Budget(entries=1))) != []


def test_when_time_is_up_the_waiting_folders_are_counted(tmp_path: Path) -> None:
    make(tmp_path, [(f"{number}/file", 0o666) for number in range(100)])
    harvest = swept(tmp_path, WRITABLE, budget=Budget(seconds=0))
    (gap,) = gaps(harvest)
    assert (gap.source, gap.reason) == ("/", "truncated")
    assert gap.count + len(paths(harvest)) == 100


def test_a_folder_of_more_folders_than_may_wait_is_cut_with_a_count(tmp_path: Path) -> None:
    make(tmp_path, [(f"{number}/file", 0o666) for number in range(50)])
    harvest = swept(tmp_path, WRITABLE, budget=Budget(waiting=20))
    (gap,) = gaps(harvest)
    assert (gap.source, gap.reason, gap.count) == ("/", "not_entered", 30)
    assert len(paths(harvest)) == 20


@pytest.mark.parametrize("budget", [Budget(findings=10), Budget(finding_bytes=1500)])
def test_findings_past_the_budget_are_counted(tmp_path: Path, budget: Budget) -> None:
    make(tmp_path, [(str(number), 0o666) for number in range(50)])
    harvest = swept(tmp_path, WRITABLE, budget=budget)
    (gap,) = gaps(harvest)
    assert gap.reason == "truncated"
    assert 0 < len(paths(harvest)) == 50 - gap.count


def test_sixty_thousand_names_in_one_folder_are_one_crowd(tmp_path: Path) -> None:
    with standing_in(tmp_path):
        os.mkdir("many")
        Path("many/0").touch()
        Path("many/0").chmod(0o666)
        for number in range(1, 60_000):
            os.link("many/0", f"many/{number}")
    started = time.monotonic()
    harvest = swept(tmp_path, WRITABLE, workers=2)
    assert [(crowd.folder, crowd.count) for crowd in crowds(harvest)] == [("/many", 60_000)]
    assert time.monotonic() - started < 20


def test_folders_swapped_for_links_are_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    make(outside, [("secret", 0o4755)])
    root = tmp_path / "root"
    make(root, [(f"{number}/{number}/file", 0o644) for number in range(200)])
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for number in range(200):
                place, aside = root / str(number), root / f"{number}.aside"
                os.rename(place, aside)
                os.symlink(outside, place)
                os.unlink(place)
                os.rename(aside, place)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        harvests = [swept(root, PRIVILEGED) for _ in range(20)]
    finally:
        stop.set()
        swapper.join()
    assert [paths(harvest) for harvest in harvests] == [[]] * 20


def test_a_branch_moved_away_while_deep_inside_is_a_gap_and_the_rest_is_walked(
    deep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain(deep, 200, beside="b")
    make(deep, [("zz/su", 0o4755)])
    monkeypatch.setattr("collectors.reading.sweep_walk.climb", lambda _done, _above: -1)
    harvest = swept(deep, PRIVILEGED)
    assert "/zz/su" in paths(harvest)
    lost = [gap for gap in gaps(harvest) if gap.reason == "changed_while_read"]
    assert harvest.folders + sum(gap.count for gap in lost) == 402


def test_what_an_ordinary_user_may_not_enter_is_a_gap(tmp_path: Path) -> None:
    for name in ("closed", "unsearchable"):
        make(tmp_path, [(f"{name}/file", 0o666)])
    tmp_path.chmod(0o755)
    (tmp_path / "closed").chmod(0)
    (tmp_path / "unsearchable").chmod(0o444)
    root = os.open(tmp_path, os.O_RDONLY)
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        harvest = swept(f"/proc/self/fd/{root}", WRITABLE)
    finally:
        os.seteuid(me)
        os.close(root)
        (tmp_path / "closed").chmod(0o700)
        (tmp_path / "unsearchable").chmod(0o700)
    found = [(gap.source, gap.reason, gap.count) for gap in gaps(harvest)]
    assert found == [("/closed", "permission_denied", 1), ("/unsearchable", "permission_denied", 1)]


def test_one_walk_serves_every_interest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, [("etc/passwd", 0o644), ("su", 0o4755), ("open", 0o666)])
    host = Host(str(tmp_path), secret=b"secret")
    prepare(host, (PRIVILEGED, WRITABLE))
    monkeypatch.setattr("collectors.reading.sweep.walk", None)
    assert [item.path for item in host.found(PRIVILEGED) if isinstance(item, Finding)] == ["/su"]
    assert [item.path for item in host.found(WRITABLE) if isinstance(item, Finding)] == ["/open"]


def test_an_interest_nobody_prepared_is_walked_for(tmp_path: Path) -> None:
    make(tmp_path, [("su", 0o4755)])
    host = Host(str(tmp_path), secret=b"secret")
    assert [item.path for item in host.found(PRIVILEGED) if isinstance(item, Finding)] == ["/su"]


def test_without_a_passwd_nobody_is_called_ownerless(tmp_path: Path) -> None:
    make(tmp_path, [("etc/group", 0o644), ("file", 0o644)])
    host = Host(str(tmp_path), secret=b"secret")
    assert list(host.found(OWNERLESS)) == [Gap("/etc/passwd", "absent")]


def test_an_unlisted_name_matches_no_interest_in_names(tmp_path: Path) -> None:
    make(tmp_path, [("go.sum", 0o644), ("go.summary", 0o644), ("a.go.sum", 0o644)])
    assert paths(swept(tmp_path, Interest("locks", names=frozenset({"go.sum"})))) == ["/go.sum"]
    assert len(paths(swept(tmp_path, ANY_NAME))) == 4
