"""Nobody but root and the reader can have written the files: H21."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.configuration.files import FILES_LIMIT, all_files
from agent.configuration.loading import load
from tests.agent.configuration.conftest import Writing


def problem(main: Path) -> str:
    (found,) = load(os.fspath(main)).problems
    return str(found)


@pytest.mark.parametrize(
    ("story", "spoil", "expected"),
    [
        ("file", lambda main: main.chmod(0o664), "mode 0664; use chmod go-w"),
        ("file for everybody", lambda main: main.chmod(0o646), "mode 0646; use chmod go-w"),
        ("folder", lambda main: main.parent.chmod(0o775), "mode 0775; use chmod go-w"),
        ("folder above", lambda main: main.parent.parent.chmod(0o777), "mode 0777; use chmod go-w"),
    ],
)
def test_what_others_may_write_is_not_read(
    written: Writing, story: str, spoil: Callable[[Path], None], expected: str
) -> None:
    main = written("unknown = 1\n")
    spoil(main)
    assert expected in problem(main), story


def test_conf_d_for_everybody_is_refused_though_it_is_sticky(written: Writing) -> None:
    main = written("", later="organisation = 'x'\n")
    (main.parent / "conf.d").chmod(0o1777)
    assert "a folder for everybody" in problem(main)


@pytest.mark.needs_root
@pytest.mark.parametrize("which", [".", "agent.toml", "conf.d", "conf.d/later.toml"])
def test_what_belongs_to_another_user_is_not_read(written: Writing, which: str) -> None:
    main = written("", later="unknown = 1\n")
    os.chown(main.parent / which, 12345, 0)
    problems = load(os.fspath(main)).problems
    assert problems
    assert {each.found for each in problems if "uid" in each.found} == {"uid 12345"}
    assert any("use chown" in str(each) for each in problems)


def test_a_link_is_followed_and_judged_by_where_it_leads(written: Writing, tmp_path: Path) -> None:
    main = written("organisation = 'x'\n")
    link = tmp_path / "link.toml"
    link.symlink_to(main)
    assert load(os.fspath(link)).configuration.organisation == "x"
    main.parent.chmod(0o777)
    assert "mode 0777" in problem(link)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "dangling"])
def test_only_a_regular_file_is_read_and_nothing_is_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "agent.toml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "nowhere")
    assert "expected a regular file" in problem(path) or "no such file" in problem(path)


def test_files_come_in_the_order_of_their_bytes(written: Writing) -> None:
    main = written("", **{"10": "", "9": "", "B": "", "a": ""})
    found, problems = all_files(os.fspath(main), must_exist=True)
    assert problems == []
    assert [os.path.basename(each) for each in found] == ["agent.toml", "10.toml", "9.toml", "B.toml", "a.toml"]


def test_a_folder_with_no_end_of_files_is_refused(written: Writing) -> None:
    main = written("", **{f"{number:04}": "" for number in range(FILES_LIMIT + 1)})
    assert f"expected at most {FILES_LIMIT} files, found {FILES_LIMIT + 1}" in problem(main)


def test_conf_d_that_is_no_folder_is_a_problem(written: Writing) -> None:
    main = written()
    (main.parent / "conf.d").rmdir()
    (main.parent / "conf.d").write_text("")
    assert "expected a folder that can be read, found not a directory" in problem(main)
