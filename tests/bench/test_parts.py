"""Each part of the benchmark runs, at a size of seconds: what it finds is no concern of the suite, that it works is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import (
    backlog,
    change,
    commit,
    day,
    figures,
    hub,
    installed,
    inventory,
    packages,
    part,
    processes,
    resident,
    sweep,
    verify,
)
from bench.figures import Line
from bench.service import Service

QUIET = '[watches]\nenabled = false\n[schedule]\njitter = "0s"\n[schedule.pressure]\ncpu = 0\nmemory = 0\nio = 0\n'
SWEPT = ("file_capabilities", "ownerless_files", "privileged_files", "world_writable")
NO_SWEEP = QUIET + "".join(f"[tables.{each}]\nenabled = false\n" for each in SWEPT)


@pytest.fixture(autouse=True)
def _short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put what is measured where the path of a socket is short, whatever the tests' own folder is called."""
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")


def ids(lines: list[Line]) -> set[str]:
    """Return which figures came out, each with a value."""
    assert all(each.ours for each in lines)
    return {each.id for each in lines}


def test_every_part_that_is_listed_can_be_imported() -> None:
    assert all(callable(part.part(name)) for name in bench.PARTS)


def test_an_unknown_part_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["no-such-part"]) == 2
    assert "expected one of sweep" in capsys.readouterr().err


def test_the_page_has_a_section_for_each_part_that_was_measured(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    for name, figure in (("verify", "3 s"), ("sweep", "1 s"), ("verify", "2 s")):
        bench.write(name, figures.section([Line("P1", "job", figure, "2 s", "0.50", "0.75")], "a machine"), page)
    text = page.read_text("utf-8")
    found = figures.sections_of(text)
    assert list(found) == ["sweep", "verify"]
    assert found["verify"].endswith("| P1 | job | 2 s | 2 s | 0.50 | 0.75 |\n")
    assert figures.page_of(found, bench.PARTS) == text


@pytest.mark.needs_program("find", "getcap")
def test_the_sweep_is_compared_with_find(tmp_path: Path) -> None:
    (tmp_path / "su").touch()
    (tmp_path / "su").chmod(0o4755)
    assert ids(sweep.rows(str(tmp_path), n=1)) == {"P1", "P2"}


@pytest.mark.needs_program("dpkg-query")
def test_packages_are_compared_with_dpkg_query(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PACKAGES", 50)
    monkeypatch.setattr(packages, "PAIRS", 1)
    assert ids(packages.rows()) == {"P10"}


def test_commits_are_compared_with_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "ENTRIES", 20)
    assert ids(commit.rows(pairs=1)) >= {"P17", "S3"}


def test_the_script_of_auditors_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "ENTRIES", 20)
    assert ids(verify.rows()) == {"P18"}


@pytest.mark.slow
def test_a_whole_inventory_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "HELP_RUNS", 1)
    assert ids(inventory.rows()) >= {"P13", "P19"}


@pytest.mark.slow
@pytest.mark.needs_root
def test_what_is_resident_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Service, "settle", lambda each: each.wait_for("a first snapshot", lambda: each.size() > 1))
    lines = resident.rows(seconds=0.5, configuration=NO_SWEEP, rest_s=0, others=("no-such-rival",))
    assert ids(lines) == {"P12"}
    assert lines[-1].job == "not compared: no-such-rival cannot be run here"


@pytest.mark.slow
@pytest.mark.needs_root
def test_a_day_is_shortened_and_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = day.configuration
    monkeypatch.setattr(day, "configuration", lambda sink: usual(sink, leave_out=SWEPT))
    assert ids(day.rows(hours=0.01)) >= {"P15"}


@pytest.mark.slow
@pytest.mark.needs_root
def test_a_change_is_followed_to_the_hub() -> None:
    pytest.importorskip("uvicorn", reason="needs the extra hub")
    assert len(change.rows(times=1)) == 4


def test_a_backlog_reaches_the_hub_whole() -> None:
    pytest.importorskip("uvicorn", reason="needs the extra hub")
    lost = backlog.rows(days=1)[-1]
    assert lost.ours == "0"


def test_agents_load_a_hub() -> None:
    pytest.importorskip("uvicorn", reason="needs the extra hub")
    assert hub.rows(agents=4, batches=2)[-1].ours == "0"


@pytest.fixture
def sleeping() -> Iterator[Callable[[], int]]:
    """Give what starts a process with one child, both asleep once it returns."""
    begun: list[subprocess.Popen[bytes]] = []

    def start() -> int:
        code = "import os; os.fork() and print(flush=True); os.read(0, 1)"
        process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        begun.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process.pid

    yield start
    for each in begun:
        each.communicate()


class TestProcesses:
    def test_a_tree_is_a_process_and_its_descendants(self, sleeping: Callable[[], int]) -> None:
        parent = sleeping()
        assert len(processes.tree(parent)) == 2
        assert processes.tree(parent)[0] == parent

    def test_one_that_is_gone_is_an_empty_tree(self) -> None:
        assert processes.tree(1 << 22) == []

    def test_resident_memory_is_no_less_than_its_share(self, sleeping: Callable[[], int]) -> None:
        rss, pss = processes.memory_kib(processes.tree(sleeping()))
        assert rss >= pss > 0

    def test_what_ended_meanwhile_takes_no_memory(self) -> None:
        assert processes.memory_kib([1 << 22]) == (0, 0)

    def test_what_children_wrote_is_counted(self, sleeping: Callable[[], int]) -> None:
        assert processes.spent(sleeping()).written_bytes >= 0


def test_the_installed_program_runs_with_bytecode_and_without_the_checkout(tmp_path: Path) -> None:
    words = installed.installed(str(tmp_path / "root"))
    assert shutil.which(words[0])
    assert list((tmp_path / "root").rglob("main.cpython-*.pyc"))
