"""What starts the program of the packages: isolated, and never from a folder that others could have written to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LAUNCHER = Path(__file__).parents[2] / "packaging" / "launcher"
PROGRAM = """
import sys
def main():
    sys.stdout.write("\\n".join([*sys.argv[1:], sys.path[0]]) + "\\n")
    flags = sys.flags
    sys.stdout.write(f"isolated={flags.isolated} site={flags.no_site} bytecode={flags.dont_write_bytecode}\\n")
    return 7
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return a root with the launcher and a private folder that tells how it was started."""
    folder = tmp_path / "usr/lib/evidenced/evidenced"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "launcher.py").write_text(PROGRAM)
    program = tmp_path / "usr/bin/evidenced"
    program.parent.mkdir()
    program.write_bytes(LAUNCHER.read_bytes())
    for path in tmp_path.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return tmp_path / "usr"


def started(usr: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the launcher with this Python, as its first line would with the system's."""
    python = [sys.executable, "-IBS", "-X", "evidenced-chosen"]
    return subprocess.run(
        [*python, usr / "bin/evidenced", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_runs_the_program_from_its_folder_with_its_arguments_and_exit_code(installed: Path) -> None:
    done = started(installed, "log", "--json")
    assert done.stdout.splitlines() == [
        "log",
        "--json",
        str(installed / "lib/evidenced"),
        "isolated=1 site=1 bytecode=1",
    ]
    assert (done.returncode, done.stderr) == (7, "")


def test_nothing_of_the_environment_or_the_working_folder_is_imported(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stat.py").write_text("raise SystemExit('a stranger was imported')")
    monkeypatch.chdir(tmp_path)
    done = started(installed, PYTHONPATH=str(tmp_path), PYTHONSTARTUP=str(tmp_path / "stat.py"))
    assert done.returncode == 7


def test_it_writes_no_bytecode(installed: Path) -> None:
    started(installed)
    assert not list(installed.rglob("*.pyc"))


@pytest.mark.parametrize(
    "what", ["", "lib", "lib/evidenced", "lib/evidenced/evidenced", "lib/evidenced/evidenced/launcher.py"]
)
def test_what_others_may_write_is_refused_by_name(installed: Path, what: str) -> None:
    path = installed / what
    path.chmod(path.stat().st_mode | 0o002)
    done = started(installed)
    assert done.returncode == 3
    assert f"{path}: expected that only its owner may write, found" in done.stderr
    assert "install evidenced again" in done.stderr


def test_a_link_in_the_folder_is_refused(installed: Path) -> None:
    (installed / "lib/evidenced/agent").symlink_to("/tmp")
    done = started(installed)
    assert done.returncode == 3
    assert "expected a file or folder, found l" in done.stderr


@pytest.mark.needs_root
def test_what_belongs_to_another_user_is_refused(installed: Path) -> None:
    path = installed / "lib/evidenced/evidenced/__init__.py"
    os.chown(path, 12345, -1)
    done = started(installed)
    assert done.returncode == 3
    assert f"{path}: expected root as its owner, found uid 12345" in done.stderr


def test_a_sticky_folder_above_is_no_danger(installed: Path) -> None:
    installed.chmod(0o1777)
    assert started(installed).returncode == 7


def test_a_folder_that_is_missing_is_said(installed: Path) -> None:
    (installed / "lib/evidenced").rename(installed / "lib/elsewhere")
    done = started(installed)
    assert done.returncode == 3
    assert "no such file or directory; install evidenced again" in done.stderr
