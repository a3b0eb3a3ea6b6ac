"""Changes are noticed wherever a path leads now, and nothing fails when they cannot be."""

from __future__ import annotations

import errno
import os
import select
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.daemon import inotify
from agent.daemon.inotify import Inotify, Note, notes_in
from agent.daemon.watching import NO_QUEUE, TOO_MANY, Watching

HEAD = 16


def noticed(watching: Watching) -> set[str]:
    """Return what the changes so far concern; the kernel notes them before the call that made them returns."""
    return watching.changed()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc/sudoers.d").mkdir(parents=True)
    (tmp_path / "etc/passwd").write_text("root\n")
    return tmp_path


@pytest.fixture
def watching(root: Path) -> Iterator[Watching]:
    watching = Watching(
        {
            f"{root}/etc/passwd": ("users", "groups"),
            f"{root}/etc/sudoers.d/": ("sudo_rules",),
            f"{root}/etc/ssh/sshd_config": ("sshd_settings",),
            f"{root}/var/lib/db/status": ("packages",),
            "{home}/.ssh/authorized_keys": ("keys",),
        }
    )
    yield watching
    watching.close()


def test_a_file_is_watched_also_when_it_is_replaced_removed_and_made_again(root: Path, watching: Watching) -> None:
    passwd = root / "etc/passwd"
    for _ in range(3):
        (root / "etc/passwd+").write_text("ann\n")
        assert noticed(watching) == set()
        (root / "etc/passwd+").rename(passwd)
        assert noticed(watching) == {"users", "groups"}
    passwd.chmod(0o600)
    assert noticed(watching) == {"users", "groups"}
    passwd.unlink()
    assert noticed(watching) == {"users", "groups"}
    passwd.write_text("x")
    assert noticed(watching) == {"users", "groups"}
    assert noticed(watching) == set()


def test_every_name_in_a_watched_folder_counts_and_its_own_mode_too(root: Path, watching: Watching) -> None:
    (root / "etc/sudoers.d/ann").write_text("x")
    assert noticed(watching) == {"sudo_rules"}
    (root / "etc/sudoers.d").chmod(0o750)
    assert noticed(watching) == {"sudo_rules"}
    (root / "etc/other").write_text("x")
    (root / "etc/sudoers.d/ann").read_text()
    assert noticed(watching) == set()


def test_an_absent_file_is_noticed_as_soon_as_the_way_to_it_is_there(root: Path, watching: Watching) -> None:
    (root / "var").mkdir()
    assert noticed(watching) == set()
    (root / "var/lib").mkdir()
    assert noticed(watching) == set()
    (root / "var/lib/db").mkdir()
    assert noticed(watching) == {"packages"}
    (root / "var/lib/db/status").write_text("x")
    assert noticed(watching) == {"packages"}
    (root / "var/other").write_text("x")
    assert noticed(watching) == set()


def test_a_way_that_appears_all_at_once_is_noticed_whole(root: Path, watching: Watching) -> None:
    (root / "etc/ssh").mkdir()
    (root / "etc/ssh/sshd_config").write_text("x")
    assert noticed(watching) == {"sshd_settings"}
    (root / "etc/ssh/sshd_config").write_text("y")
    assert noticed(watching) == {"sshd_settings"}


def test_a_folder_that_goes_and_comes_back_is_watched_again(root: Path, watching: Watching) -> None:
    (root / "etc/sudoers.d/old").write_text("x")
    noticed(watching)
    for away in (lambda: shutil.rmtree(root / "etc/sudoers.d"), lambda: (root / "etc/sudoers.d").rename(root / "away")):
        away()
        assert noticed(watching) == {"sudo_rules"}
        (root / "etc/sudoers.d").mkdir()
        assert noticed(watching) == {"sudo_rules"}
        (root / "etc/sudoers.d/new").write_text("x")
        assert noticed(watching) == {"sudo_rules"}
    (root / "away/old").write_text("nobody's")
    assert noticed(watching) == set()


def test_a_folder_that_is_swapped_for_another_is_watched_in_its_place(root: Path, watching: Watching) -> None:
    (root / "etc/next").mkdir()
    noticed(watching)
    (root / "etc/sudoers.d").rename(root / "etc/before")
    (root / "etc/next").rename(root / "etc/sudoers.d")
    assert noticed(watching) == {"sudo_rules"}
    (root / "etc/before/x").write_text("x")
    assert noticed(watching) == set()
    (root / "etc/sudoers.d/x").write_text("x")
    assert noticed(watching) == {"sudo_rules"}


def test_a_folder_above_that_is_moved_takes_what_is_below_along(root: Path, watching: Watching) -> None:
    (root / "etc").rename(root / "old")
    shutil.copytree(root / "old", root / "etc")
    assert noticed(watching) >= {"users", "groups", "sudo_rules"}
    (root / "etc/sudoers.d/x").write_text("x")
    assert noticed(watching) == {"sudo_rules"}


def test_homes_are_watched_once_they_are_known(root: Path, watching: Watching) -> None:
    ann, bob = root / "home/ann", root / "home/bob"
    (ann / ".ssh").mkdir(parents=True)
    bob.mkdir()
    assert watching.homes([str(ann), str(bob), str(ann)]) == {"keys"}
    assert watching.homes([str(ann), str(bob)]) == set()
    (ann / ".ssh/known_hosts").write_text("x")
    (bob / ".bashrc").write_text("x")
    assert noticed(watching) == set()
    (ann / ".ssh/authorized_keys").write_text("x")
    assert noticed(watching) == {"keys"}
    (bob / ".ssh").mkdir()
    (bob / ".ssh/authorized_keys").write_text("x")
    assert noticed(watching) == {"keys"}
    watching.homes([str(bob)])
    (ann / ".ssh/authorized_keys").write_text("y")
    assert noticed(watching) == set()
    (bob / ".ssh/authorized_keys").write_text("y")
    assert noticed(watching) == {"keys"}


def test_a_link_in_place_of_a_users_folder_leads_nowhere(root: Path, watching: Watching) -> None:
    home = root / "home/ann"
    home.mkdir(parents=True)
    (root / "elsewhere").mkdir()
    (home / ".ssh").symlink_to(root / "elsewhere")
    watching.homes([str(home)])
    (root / "elsewhere/authorized_keys").write_text("x")
    assert noticed(watching) == set()
    (home / ".ssh").unlink()
    (home / ".ssh").mkdir()
    assert noticed(watching) == {"keys"}


def test_no_more_than_a_thousand_homes_are_watched(root: Path, watching: Watching) -> None:
    before = watching.count
    homes = [root / f"home/{number}" for number in range(1010)]
    for each in homes:
        each.mkdir(parents=True)
    watching.homes(map(str, homes))
    assert watching.count == before + 1000


def test_ten_thousand_changes_are_one_look(root: Path, watching: Watching) -> None:
    for number in range(50):
        (root / f"etc/sudoers.d/{number}").write_text("x")
    for number in range(10_000):
        os.utime(root / f"etc/sudoers.d/{number % 50}")
    found = set()
    looks = 0
    while select.select([watching.fd], [], [], 0)[0]:
        found |= noticed(watching)
        looks += 1
    assert found >= {"sudo_rules"}
    assert looks <= 2


class Full(Inotify):
    """A queue of the kernel that has no more watches to give after a few, as fs.inotify.max_user_watches has it."""

    left = 3

    def add(self, folder: bytes, *, whole: bool, follow: bool) -> int:
        if self.left <= 0:
            raise OSError(errno.ENOSPC, "inotify_add_watch")
        number = super().add(folder, whole=whole, follow=follow)
        self.left -= 1
        return number


class Refused(Inotify):
    """No queue at all, as fs.inotify.max_user_instances has it."""

    def __init__(self) -> None:
        raise OSError(errno.EMFILE, "inotify_init1")


class Overflowing(Inotify):
    """A queue that was too full."""

    told = False

    def read(self) -> list[Note]:
        if self.told:
            return super().read()
        self.told = True
        return [Note(-1, inotify.IN_Q_OVERFLOW, b"")]


def test_without_watches_to_give_what_is_watched_stays_so_and_it_says_so(root: Path) -> None:
    paths = {f"{root}/{number}/x": ("users",) for number in range(5)}
    for number in range(5):
        (root / str(number)).mkdir()
    watching = Watching(paths, Full)
    assert watching.degraded == TOO_MANY
    assert watching.count == 3
    (root / "0/x").write_text("x")
    assert noticed(watching) == {"users"}
    (root / "4/x").write_text("x")
    assert noticed(watching) == set()
    watching.close()


def test_without_a_queue_everything_is_left_to_the_schedule_until_there_is_one(root: Path) -> None:
    watching = Watching({f"{root}/etc/passwd": ("users",)}, Refused)
    assert (watching.degraded, watching.fd, watching.count) == (NO_QUEUE, -1, 0)
    assert watching.renew() == set()
    watching._make = Inotify
    assert watching.renew() == {"users"}
    assert (watching.degraded, watching.count) == ("", 1)
    watching.close()


def test_an_overflow_makes_every_watched_table_due_and_is_counted(root: Path) -> None:
    watching = Watching({f"{root}/etc/passwd": ("users",), f"{root}/etc/sudoers.d/": ("sudo_rules",)}, Overflowing)
    assert noticed(watching) == {"users", "sudo_rules"}
    assert watching.overflows == 1
    assert noticed(watching) == set()
    watching.close()


@pytest.mark.needs_root
def test_a_folder_that_is_closed_to_this_user_is_named(root: Path) -> None:
    (root / "etc/sudoers.d").chmod(0o700)
    for above in (root, *root.parents[:-2]):
        above.chmod(0o755)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresuid(65534, 65534, 65534)
        found = Watching({f"{root}/etc/sudoers.d/": ("sudo_rules",), f"{root}/etc/passwd": ("users",)})
        os.write(writing, repr((found.closed, found.count, found.degraded)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 4096).decode() == repr(({f"{root}/etc/sudoers.d": "permission denied"}, 1, ""))
    os.close(reading)
    os.close(writing)


def test_without_paths_there_is_no_queue() -> None:
    watching = Watching({})
    assert (watching.fd, watching.count, watching.degraded) == (-1, 0, "")
    assert watching.homes(["/root"]) == set()


@given(st.binary(max_size=200))
def test_any_bytes_of_a_queue_are_notes(data: bytes) -> None:
    for each in notes_in(data):
        assert -(1 << 31) <= each.watch < 1 << 31
        assert len(each.name) <= len(data)
