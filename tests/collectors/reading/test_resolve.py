"""A path never leads out of its root, whichever way it is resolved."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.reading import kernel
from collectors.reading.resolve import LINK_BUDGET, open_in_root, open_plain, walk, walk_plain

Entry = tuple[str, str]

NAMES = st.sampled_from(["a", "b", "c"])
PLACES = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TARGETS = st.builds(
    lambda start, parts, end: (start + "/".join(parts) + end) or ".",
    st.sampled_from(["", "/"]),
    st.lists(st.sampled_from(["a", "b", "c", ".", "..", "x"]), max_size=4),
    st.sampled_from(["", "/"]),
)
ENTRIES = st.tuples(PLACES, st.one_of(st.just("file"), st.just("folder"), TARGETS.map("-> ".__add__)))


def grow(root: str, entries: list[Entry]) -> None:
    """Make files, folders and links; one that finds its place taken or out of reach is left out."""
    for place, what in entries:
        path = f"{root}/{place}"
        parent = os.path.dirname(path)
        if os.path.lexists(path) or os.path.realpath(parent) != parent or not os.path.isdir(parent):
            continue
        if what == "folder":
            os.mkdir(path)
        elif what == "file":
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        else:
            os.symlink(what.removeprefix("-> "), path)


def outcome(act: Callable[[], int]) -> str:
    """Return which inode was reached, or which error stopped it."""
    try:
        fd = act()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


@settings(max_examples=400, deadline=None)
@given(st.lists(ENTRIES, max_size=12), TARGETS, st.booleans())
def test_kernel_and_walk_agree_on_any_tree_of_links_and_stay_in_the_root(
    entries: list[Entry], path: str, follow: bool
) -> None:
    root = os.path.realpath(tempfile.mkdtemp())
    root_fd = os.open(root, os.O_PATH)
    try:
        grow(root, entries)
        by_kernel = outcome(lambda: open_in_root(root_fd, path, follow=follow))
        assert outcome(lambda: walk(root_fd, path, follow=follow)) == by_kernel
        assert by_kernel.startswith((root, "E"))
    finally:
        os.close(root_fd)
        shutil.rmtree(root)


@settings(max_examples=400, deadline=None)
@given(st.lists(ENTRIES, max_size=12), st.lists(NAMES, max_size=4).map("/".join))
def test_kernel_and_walk_agree_where_no_link_is_followed(entries: list[Entry], path: str) -> None:
    root = os.path.realpath(tempfile.mkdtemp())
    root_fd = os.open(root, os.O_PATH)
    try:
        grow(root, entries)
        by_kernel = outcome(lambda: open_plain(root_fd, path))
        assert outcome(lambda: walk_plain(root_fd, path)) == by_kernel
        assert by_kernel in {f"{root}/{path}".rstrip("/"), "ENOENT", "ENOTDIR", "ELOOP"}
    finally:
        os.close(root_fd)
        shutil.rmtree(root)


@pytest.mark.parametrize(("length", "ends"), [(LINK_BUDGET, "file"), (LINK_BUDGET + 1, "ELOOP")])
def test_a_chain_of_links_ends_where_the_kernel_ends_it(tmp_path: Path, way: str, length: int, ends: str) -> None:
    assert way
    (tmp_path / "0").touch()
    for number in range(length):
        (tmp_path / str(number + 1)).symlink_to(str(number))
    root_fd = os.open(tmp_path, os.O_PATH)
    found = outcome(lambda: open_in_root(root_fd, str(length), follow=True))
    os.close(root_fd)
    assert found == (str(tmp_path / "0") if ends == "file" else ends)


def test_no_descriptor_is_left_open_after_success_or_failure(tmp_path: Path, way: str) -> None:
    assert way
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "loop").symlink_to("loop")
    root_fd = os.open(tmp_path, os.O_PATH)
    before = os.listdir("/proc/self/fd")
    for path in ("a/b", "a/b/../../a/none", "a/loop", "../../a/b/.."):
        outcome(lambda path=path: open_in_root(root_fd, path, follow=True))  # type: ignore[misc]
        outcome(lambda path=path: open_plain(root_fd, path))  # type: ignore[misc]
    assert os.listdir("/proc/self/fd") == before
    os.close(root_fd)


READ_TWICE = """
import sys
from collectors.reading.host import Host
host = Host(sys.argv[1], secret=b"")
print(host.read("/link").data.decode(), host.read("/home/file", untrusted="/home").data.decode())
"""


@pytest.mark.needs_program("strace")
@pytest.mark.parametrize("fault", ["ENOSYS", "EPERM", "EAGAIN", "EAGAIN:when=1..3"])
def test_a_kernel_without_openat2_or_too_busy_for_it_gives_the_same_answers(tmp_path: Path, fault: str) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "file").write_text("content")
    (tmp_path / "link").symlink_to("/home/file")
    inject = ["strace", "-qq", "-e", "trace=openat2", "-e", f"inject=openat2:error={fault}"]
    made = subprocess.run(
        [*inject, sys.executable, "-c", READ_TWICE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert made.stdout == "content content\n"
    assert "(INJECTED)" in made.stderr


def test_an_error_of_the_path_is_not_taken_for_a_missing_call(tmp_path: Path) -> None:
    root_fd = os.open(tmp_path, os.O_PATH)
    with pytest.raises(FileNotFoundError):
        kernel.openat2(root_fd, "none", os.O_PATH, kernel.RESOLVE_IN_ROOT)
    os.close(root_fd)


def test_a_name_is_not_cut_at_nul(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    root_fd = os.open(tmp_path, os.O_PATH)
    with pytest.raises(ValueError, match="NUL"):
        kernel.openat2(root_fd, "a\0b", os.O_PATH, kernel.RESOLVE_IN_ROOT)
    os.close(root_fd)
