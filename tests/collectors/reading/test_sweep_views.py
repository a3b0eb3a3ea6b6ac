"""Bind mounts and second mounts: what only one of them shows is walked there, and nothing twice without need."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.reading.host import Host
from collectors.reading.mounts import Mount
from collectors.reading.sweep import Finding, mount_map, prepare
from collectors.reading.sweep_mounts import plan
from tests.collectors.reading.sweeping import PRIVILEGED, make
from tests.collectors.reading.test_sweep_mounts import ROOT, planned, starts


def test_what_is_covered_in_one_mount_is_walked_where_another_shows_it() -> None:
    found = planned(ROOT, "21 20 8:2 / /a rw ext4", "22 21 8:3 / /a/sub rw xfs", "23 20 8:2 / /b rw ext4")
    assert starts(found) == ["/", "/a", "/a/sub", "/b/sub"]


def test_a_second_view_of_the_root_is_walked_where_mounts_cover_the_first() -> None:
    found = planned(ROOT, "21 20 8:2 / /home rw ext4", "22 20 0:4 / /proc rw proc", "23 20 8:1 / /mnt rw ext4")
    assert starts(found) == ["/", "/home", "/mnt/home", "/mnt/mnt", "/mnt/proc"]


def test_a_recursive_bind_adds_nothing_but_the_folder_it_covers() -> None:
    found = planned(
        ROOT, "21 20 8:2 / /home rw ext4", "22 20 8:1 / /srv/jail rw ext4", "23 22 8:2 / /srv/jail/home rw ext4"
    )
    assert starts(found) == ["/", "/home", "/srv/jail/srv/jail"]


def test_a_mount_over_what_a_bind_shows_is_no_reason_to_walk_the_rest_of_it() -> None:
    found = planned(ROOT, "21 20 8:1 /srv/big /export rw ext4", "22 20 8:3 / /srv/big/cache rw ext4")
    assert starts(found) == ["/", "/export/cache", "/srv/big/cache"]


def test_the_view_where_suid_counts_is_the_one_that_is_walked() -> None:
    assert starts(planned(ROOT, "21 20 8:2 / /a nosuid ext4", "22 20 8:2 / /b rw ext4")) == ["/", "/b"]
    assert starts(planned(ROOT, "21 20 8:2 / /a rw ext4", "22 20 8:2 / /b rw,nosuid ext4")) == ["/", "/a"]
    assert starts(planned(ROOT, "21 20 8:2 / /a nosuid ext4", "22 20 8:2 /x /b rw ext4")) == ["/", "/a", "/b"]
    assert starts(planned("20 1 8:1 / / rw,nosuid ext4", "22 20 8:1 /x /b rw ext4")) == ["/", "/b"]


def test_a_bound_file_that_lost_its_name_is_walked() -> None:
    assert starts(planned(ROOT, "21 20 8:1 /f//deleted /g rw ext4")) == ["/", "/g"]


def test_no_view_is_walked_for_a_mount_that_is_never_entered() -> None:
    found = planned(ROOT, "21 20 0:40 / /a rw nfs4", "22 21 8:3 / /a/sub rw xfs", "23 20 0:40 / /b rw nfs4")
    assert starts(found) == ["/", "/a/sub"]


def test_thousands_of_bind_mounts_are_planned_at_once() -> None:
    mounts = [Mount("/", "s", "ext4", (), 1, "/", 10, 1)]
    mounts += [Mount(f"/pods/{n}/{n % 9}", "s", "ext4", (), 1, f"/vol/{n}", 100 + n, 10) for n in range(3000)]
    mounts += [Mount(f"/view/{n}", "s", "ext4", (), 1, "/", 5000 + n, 10) for n in range(3)]
    began = time.process_time()
    assert len(plan(mounts).starts) == 3000 + 3 + 1  # the root, and each covered folder as the first view shows it
    assert time.process_time() - began < 20


NAMES = ("a", "b")
FILES = ["/"] + ["/" + "/".join(way) for way in [*((x,) for x in NAMES), *((x, y) for x in NAMES for y in NAMES)]]
FILES += [f"{path}/{name}" for path in FILES if path.count("/") == 2 for name in NAMES]
MOUNTS = st.lists(
    st.tuples(st.sampled_from(FILES[1:]), st.sampled_from((1, 2)), st.sampled_from(FILES[:7]), st.booleans()),
    max_size=6,
    unique_by=lambda each: each[0],
)


def joined(folder: str, rest: str) -> str:
    return f"{folder.rstrip('/')}/{rest.strip('/')}".rstrip("/") or "/"


def seen(mounts: Sequence[Mount], begin: str, *, across: bool) -> set[tuple[int, str, bool]]:
    """Return what stands below a path as (device, place there, whether SUID counts), across mounts or in one."""
    by_target = {mount.target: mount for mount in mounts}

    def over(path: str) -> Mount:
        while path not in by_target:
            path = os.path.dirname(path)
        return by_target[path]

    found: set[tuple[int, str, bool]] = set()
    todo = [begin]
    while todo:
        path = todo.pop()
        mount = over(path)
        place = joined(mount.root, path.removeprefix(mount.target))
        if place not in FILES:
            continue
        found.add((mount.device, place, "nosuid" not in mount.options))
        below = [joined(path, name) for name in NAMES]
        todo += [each for each in below if across or each not in by_target]
    return found


@given(MOUNTS)
def test_all_that_any_view_shows_is_walked_where_no_view_of_it_is_laxer(
    drawn: list[tuple[str, int, str, bool]],
) -> None:
    mounts = [Mount("/", "s", "ext4", (), 1, "/", 1, 0)]
    for number, (target, device, root, strict) in enumerate(sorted(drawn), 2):
        above = max(
            (each for each in mounts if f"{target}/".startswith(f"{each.target.rstrip('/')}/")),
            key=lambda each: len(each.target),
        )
        options = ("nosuid",) if strict else ()
        mounts.append(Mount(target, "s", "ext4", options, device, root, number, above.id))
    there = seen(mounts, "/", across=True)
    walked = set[tuple[int, str, bool]]().union(
        *(seen(mounts, start.path, across=False) for start in plan(mounts).starts)
    )
    assert {each for each in there if each[2]} <= walked
    assert {each[:2] for each in there} == {each[:2] for each in walked}


@contextmanager
def mounting(root: Path, *folders: str) -> Iterator[Callable[..., None]]:
    """Give what mounts inside a folder, and take all away again that was mounted at or below some folders of it."""

    def mount(*words: str) -> None:
        subprocess.run(["mount", *(str(root) + word if word.startswith("/") else word for word in words)], check=True)

    for folder in folders:
        (root / folder).mkdir()
    try:
        yield mount
    finally:
        for folder in folders:
            subprocess.run(["umount", "--recursive", "--lazy", root / folder], check=True)


def swept(root: Path) -> dict[str, bool | None]:
    """Return the privileged files of an image, and whether the mount of each ignores that."""
    host = Host(str(root), secret=b"secret")
    prepare(host, (PRIVILEGED,), workers=1)
    items = list(host.found(PRIVILEGED))
    assert [item for item in items if not isinstance(item, Finding)] == []
    return {item.path: mount_map(host).nosuid(item.path) for item in items if isinstance(item, Finding)}


def listed(root: Path) -> dict[tuple[int, int], set[str]]:
    """Return what find(1) lists as SUID, by file."""
    output = subprocess.run(["find", root, "-perm", "-4000", "-print0"], check=True, capture_output=True).stdout
    names = [os.fsdecode(name) for name in output.split(b"\0")[:-1]]
    found: dict[tuple[int, int], set[str]] = {}
    for name in names:
        status = os.stat(name)
        found.setdefault((status.st_dev, status.st_ino), set()).add(name.removeprefix(str(root)))
    return found


@pytest.mark.needs_root
@pytest.mark.needs_program("find")
def test_each_file_that_find_lists_under_any_name_is_swept_once_where_its_bit_counts(tmp_path: Path) -> None:
    with mounting(tmp_path, "a", "b", "c") as mount:
        mount("-t", "tmpfs", "-o", "nosuid", "none", "/a")
        make(tmp_path, [("a/sub/hidden", 0o4755), ("a/sub/deep/x", 0o4755), ("a/open", 0o4755), ("a/file", 0o4755)])
        make(tmp_path, [("a/kept", 0o4755)])
        mount("-t", "tmpfs", "none", "/a/sub")
        make(tmp_path, [("a/sub/over", 0o4755)])
        mount("--bind", "/a/kept", "/a/file")
        mount("--bind", "/a", "/b")
        mount("-o", "remount,bind,suid", "/b")
        mount("--bind", "/a", "/c")
        mount("-t", "tmpfs", "none", "/b/sub/deep")
        oracle, found = listed(tmp_path), swept(tmp_path)
    assert sorted(found) == ["/a/sub/over", "/b/file", "/b/kept", "/b/open", "/b/sub/hidden", "/c/sub/deep/x"]
    assert [len(names & set(found)) for names in oracle.values()] == [1] * len(oracle)
    assert [path for path, ignored in found.items() if ignored] == ["/c/sub/deep/x"]


@pytest.mark.needs_root
@pytest.mark.needs_program("find")
def test_a_file_that_only_its_bind_mount_still_names_is_seen(tmp_path: Path) -> None:
    with mounting(tmp_path, "m", "d") as mount:
        mount("-t", "tmpfs", "none", "/m")
        mount("-t", "tmpfs", "none", "/d")
        make(tmp_path, [("m/lost", 0o4755), ("m/other", 0o4755), ("d/place", 0o644)])
        mount("--bind", "/m/lost", "/d/place")
        (tmp_path / "m/lost").unlink()
        oracle, found = listed(tmp_path), swept(tmp_path)
    assert set(found) == set().union(*oracle.values()) == {"/d/place", "/m/other"}
