"""What the pages say is what the program does."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.main import COMMANDS
from docs import generate

TOP = Path(__file__).parent.parent
FENCE = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RUN_BY_CI = ("make ", "python3 -m venv ")  # `.ci/run` and packaging/test-wheel run these
SERVICE = "evidenced run"
"""Stays until the last command has run beside it."""
MAY_SAY = {"evidenced status": (0, 3), "evidenced doctor": (0, 3)}
"""3: something is amiss, such as a clock that nobody keeps."""


def commands(page: str) -> list[str]:
    """Return the commands of a page's shell blocks, without their comments."""
    lines = [line for block in FENCE.findall((TOP / page).read_text("utf-8")) for line in block.split("\n")]
    return [shlex.join(shlex.split(line, comments=True)) for line in lines if line.strip()]


def test_each_program_that_is_installed_for_tests_has_its_reason() -> None:
    script = (TOP / "packaging/test-tools").read_text("utf-8").replace("\\\n", "")
    installed = re.findall(r"--no-install-recommends\s+(.*?) >/dev/null", script)[0].split()
    rows = re.findall(
        r"^\| ([a-z0-9, -]+) \|", (TOP / "docs/decisions/0003-oracles.md").read_text("utf-8"), re.MULTILINE
    )
    assert set(installed) - {each for row in rows for each in row.split(", ")} == set()


def test_generated_pages_are_up_to_date() -> None:
    assert [path.name for path in generate.stale()] == [], "run: make docs"


@pytest.mark.slow
def test_every_command_of_the_readme_runs(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    state = tmp_path / "state"
    launcher = folder / "evidenced"
    # the state folder is the only thing that is not as the reader has it
    launcher.write_text(
        "#!/bin/sh\n"
        'case "$1" in\n'
        '  keys) set -- "$@" --state "$STATE";;\n'
        "  inventory|show-payload|log|export|prune|run|status|doctor|record|wrap)\n"
        '    command=$1; shift; set -- "$command" --state "$STATE" "$@";;\n'
        "esac\n"
        f'PYTHONPATH={shlex.quote(os.fspath(TOP))} exec {shlex.quote(sys.executable)} -m agent "$@"\n'
    )
    launcher.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "STATE": os.fspath(state)}
    environment.pop("XDG_CONFIG_HOME", None)
    with contextlib.ExitStack() as stack:
        ran = 0
        for command in commands("README.md"):
            if command.startswith(RUN_BY_CI):
                continue
            ran += 1
            if command == SERVICE:
                stack.enter_context(service(tmp_path, environment))
                continue
            done = subprocess.run(
                ["sh", "-c", command], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
            )
            said = f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            assert done.returncode in MAY_SAY.get(command, (0,)), said
            assert "Traceback" not in done.stderr
    assert ran >= 18


@contextlib.contextmanager
def service(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run the service beside the commands that follow; in the end it is stopped, and ends well."""
    running = subprocess.Popen(shlex.split(SERVICE), cwd=folder, env=environment)
    try:
        yield
        running.terminate()
        assert running.wait(30) == 0
    finally:
        running.kill()
        running.wait()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    known = set(re.findall(r"^([a-z-]+):.*## ", (TOP / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for line in commands(page)
        if line.startswith("make ")
        for target in line.split()[1:]
        if "=" not in target
    }
    assert named <= known


@pytest.mark.parametrize("name", [each for each in COMMANDS if each != "verify"])
def test_the_manual_page_names_every_option(name: str) -> None:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"agent.commands.{name.replace('-', '_')}").declare(parser)
    page = (TOP / "docs/man/evidenced.1").read_text()
    assert f".Cm {name}" in page
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    for option in (text for action in shown for text in action.option_strings if text != "-h"):
        assert f"Fl {option[1:]}" in page or f"| {option[1:]}" in page, option


@pytest.mark.needs_program("groff")
def test_the_manual_page_renders_without_a_warning() -> None:
    page = TOP / "docs/man/evidenced.1"
    done = subprocess.run(["groff", "-mdoc", "-Tutf8", "-ww", "-z", page], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*TOP.glob("*.md"), *TOP.glob("*/*.md"), *TOP.glob("docs/*/*.md")]:
        if ".venv" in page.parts:
            continue
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(TOP)}: {target}"


def test_nothing_in_the_repository_names_a_build_machine() -> None:
    listed = subprocess.run(
        ["git", "grep", "-nIE", r"/root/\.|/home/[a-z]+/\.pyenv"], cwd=TOP, capture_output=True, text=True, check=False
    )
    lines = [line for line in listed.stdout.splitlines() if "test_docs.py" not in line and "/root/.ssh" not in line]
    assert lines == []
