"""Completions as their shells give them. That the files are what the commands say is a test of all generated pages."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.main import COMMANDS
from hub.main import COMMANDS as HUB_COMMANDS

FOLDER = Path(__file__).parents[2] / "packaging/completions"
ASK_BASH = """
source "$1"; COMP_WORDS=("${@:2}"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; }  # works only inside a real completion
function="_${2//-/_}"; "$function"; printf '%s\\n' "${COMPREPLY[@]}"
"""
CASES = [
    (("evidenced", "inv"), {"inventory"}),
    (("evidenced", "show-p"), {"show-payload"}),
    (("evidenced", "tables", "sudo"), {"sudo_rules"}),
    (("evidenced", "inventory", "--table", "sshd"), {"sshd_settings"}),
    (("evidenced", "config", "ch"), {"check"}),
    (("evidenced", "config", "check", "--j"), {"--json"}),
    (("evidenced", "keys", "ro"), {"rotate"}),
    (("evidenced", "record", "restore"), {"restore-test"}),
    (("evidenced-hub", "to"), {"token"}),
    (("evidenced-hub", "token", "rev"), {"revoke"}),
    (("evidenced-hub", "serve", "--tls-c"), {"--tls-certificate"}),
]


def bash(*words: str) -> set[str]:
    """Return what bash offers for the last word."""
    command = ["bash", "-c", ASK_BASH, "bash", str(FOLDER / f"{words[0]}.bash"), *words]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def fish(*words: str) -> set[str]:
    """Return what fish offers for the last word."""
    source = f"source {FOLDER}/{words[0]}.fish; complete -C '{' '.join(words)}'"
    command = ["fish", "--no-config", "-c", source]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {line.split("\t")[0] for line in said.splitlines()}


@pytest.mark.parametrize(
    ("words", "offered"), CASES, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_bash_completes(words: tuple[str, ...], offered: set[str]) -> None:
    assert bash(*words) == offered


@pytest.mark.needs_program("fish")
@pytest.mark.parametrize(
    ("words", "offered"), CASES, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_fish_completes(words: tuple[str, ...], offered: set[str]) -> None:
    assert fish(*words) == offered


def test_bash_offers_every_command_and_files_where_one_belongs(tmp_path: Path) -> None:
    assert set(COMMANDS) <= bash("evidenced", "")
    assert set(HUB_COMMANDS) <= bash("evidenced-hub", "")
    (tmp_path / "with a space.tar.gz").touch()
    (tmp_path / "below").mkdir()
    command = ["bash", "-c", ASK_BASH, "bash", str(FOLDER / "evidenced.bash")]
    asked = [*command, "evidenced", "export", "-o", f"{tmp_path}/w"]
    assert (
        subprocess.run(asked, check=True, capture_output=True, text=True).stdout == f"{tmp_path}/with a space.tar.gz\n"
    )
    assert bash("evidenced", "export", "--state", f"{tmp_path}/") == {f"{tmp_path}/below"}


@pytest.mark.needs_program("zsh")
@pytest.mark.parametrize("program", ["evidenced", "evidenced-hub"])
def test_zsh_takes_the_file_and_every_command_has_its_function(program: str) -> None:
    file = FOLDER / f"_{program}"
    subprocess.run(["zsh", "-n", file], check=True)
    commands = COMMANDS if program == "evidenced" else HUB_COMMANDS
    text = file.read_text()
    for name in commands:
        assert f"_{program}_{name}() {{".replace("-", "_") in text.replace("-", "_")
