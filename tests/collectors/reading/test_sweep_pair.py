"""Two processes on one walk: the same findings, nothing lost when one dies, nobody left behind."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.reading.sweep_pair import Link
from collectors.reading.sweep_question import Interest
from collectors.reading.sweep_walk import Walker
from tests.collectors.reading.sweeping import ANY_NAME, PRIVILEGED, WRITABLE, crowds, gaps, make, paths, swept

WALK_FOR_EVER = """
import os, sys
from collectors.reading.sweep_mounts import Plan, Points, Start
from collectors.reading.sweep_pair import walk
from collectors.reading.sweep_question import Budget, Interest, Question
question = Question((Interest("any", suffixes=("",)),), None, None)
fd = os.open(sys.argv[1], os.O_PATH)
print("ready", flush=True)
while True:
    walk(question, Plan((Start("/"),), Points(), ()), Budget(), fd, workers=2, help_from=0)
"""


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    make(tmp_path, [(f"{first}/{second}/file", 0o666) for first in range(20) for second in range(30)])
    (tmp_path / "su").touch()
    (tmp_path / "su").chmod(0o4755)
    return tmp_path


def running() -> set[int]:
    """Return the processes that are this one's children."""
    me = os.getpid()
    with open(f"/proc/{me}/task/{me}/children", encoding="ascii") as file:
        return {int(text) for text in file.read().split()}


@settings(max_examples=25, deadline=None)
@given(tree=st.lists(st.tuples(st.text("abc/", min_size=1, max_size=12), st.sampled_from([0o644, 0o666, 0o4755]))))
def test_two_find_what_one_finds_in_any_tree(tree: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr("collectors.reading.sweep_walk.ATTEND_EVERY", 1)  # the helper starts at the second folder
        make(Path(name), [(f"{place.strip('/') or 'x'}.{at}/f", mode) for at, (place, mode) in enumerate(tree)])
        one, two = (swept(name, ANY_NAME, WRITABLE, PRIVILEGED, workers=workers) for workers in (1, 2))
    for index in range(3):
        assert sorted(map(str, one.found(index))) == sorted(map(str, two.found(index)))
    assert (one.entries, one.folders) == (two.entries, two.folders)


def test_the_work_is_shared(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought: list[int] = []
    receive = Link.receive_harvest

    def noted(link: Link) -> object:
        harvest = receive(link)
        brought.append(harvest.folders)
        return harvest

    monkeypatch.setattr(Link, "receive_harvest", noted)
    harvest = swept(wide, WRITABLE, workers=2)
    assert len(paths(harvest)) == 600
    assert 0 < brought[0] < harvest.folders


def test_crowds_and_gaps_of_the_helper_arrive_too(wide: Path) -> None:
    few = Interest("writable", mode_any=stat.S_IWOTH, crowd=0)
    assert len(crowds(swept(wide, few, workers=2))) == 600


def test_a_small_tree_is_walked_alone(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", None)
    assert len(paths(swept(wide, WRITABLE, workers=2, help_from=10_000))) == 600


@pytest.mark.parametrize("dies_after", [0, 1, 40])
def test_a_helper_that_dies_costs_a_second_walk_and_no_finding(
    wide: Path, monkeypatch: pytest.MonkeyPatch, dies_after: int
) -> None:
    leader, descend, done = os.getpid(), Walker._descend, [0]

    def fragile(walker: Walker, parent: object, name: str) -> None:
        if os.getpid() != leader:
            if done[0] >= dies_after:
                os.kill(os.getpid(), signal.SIGKILL)
            done[0] += 1
        descend(walker, parent, name)  # type: ignore[arg-type]

    monkeypatch.setattr(Walker, "_descend", fragile)
    before = running()
    harvest = swept(wide, WRITABLE, PRIVILEGED, workers=2)
    assert (len(paths(harvest, 0)), paths(harvest, 1)) == (600, ["/su"])
    assert gaps(harvest) == []
    assert running() == before


def test_a_helper_whose_answer_is_cut_short_costs_a_second_walk(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leader, send = os.getpid(), Link._send

    def mute(link: Link, message: bytes, *fds: int) -> None:
        if os.getpid() != leader and message == b"E":
            os._exit(0)
        send(link, message, *fds)

    monkeypatch.setattr(Link, "_send", mute)
    harvest = swept(wide, WRITABLE, workers=2)
    assert len(paths(harvest)) == 600


def test_where_no_process_can_be_had_one_does_it_all(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refused)
    assert len(paths(swept(wide, WRITABLE, workers=2))) == 600


def test_a_defect_of_the_walk_itself_is_not_hidden(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_walker: Walker, _folder: object) -> list[str]:
        raise ZeroDivisionError

    monkeypatch.setattr(Walker, "_scan", broken)
    before = running()
    with pytest.raises(ZeroDivisionError):
        swept(wide, WRITABLE, workers=2)
    assert running() == before


def test_no_process_and_no_descriptor_is_left_behind(wide: Path) -> None:
    processes, descriptors = running(), set(os.listdir("/proc/self/fd"))
    swept(wide, WRITABLE, workers=2)
    assert running() == processes
    assert set(os.listdir("/proc/self/fd")) == descriptors


def test_both_work_under_the_limits_of_a_collecting_child(wide: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (512 << 20, before[1]))
    try:
        assert len(paths(swept(wide, WRITABLE, workers=2))) == 600
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def test_the_helper_ends_when_the_first_process_is_killed(wide: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WALK_FOR_EVER, str(wide)], stdout=subprocess.PIPE, start_new_session=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"ready\n"
        helper = _helper_of(first.pid)
        first.kill()
        first.wait()
        deadline = time.monotonic() + 10
        while os.path.exists(f"/proc/{helper}") and _state(helper) != "Z" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not os.path.exists(f"/proc/{helper}") or _state(helper) == "Z"


def _helper_of(pid: int) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = file.read().split()
        if children:
            return int(children[0])
    raise AssertionError("no helper was started")


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"
