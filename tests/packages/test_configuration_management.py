"""The example for Ansible is one that its own linter takes, and its settings are ones that the program takes."""

from __future__ import annotations

import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from agent.main import main

PAGE = (Path(__file__).parents[2] / "docs/configuration-management.md").read_text("utf-8")
PLAYBOOK = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[0]
VARIABLE = re.compile(r"\{\{ (\w+) \}\}")


@pytest.mark.needs_program("ansible-lint")
@pytest.mark.slow
def test_ansible_lint_takes_the_example_as_fit_for_production(tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text(PLAYBOOK)
    command = ["ansible-lint", "--offline", "--nocolor", "--profile", "production", "--strict", "site.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_settings_of_the_example_are_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = dict(re.findall(r"^    (evidenced_\w+): (\S+)$", PLAYBOOK, re.MULTILINE))
    found = re.search(r"content: \|\n(.*?)\n {8}dest: (/etc/evidenced/conf\.d/\S+)", PLAYBOOK, re.DOTALL)
    assert found
    settings = VARIABLE.sub(lambda name: values[name[1]], textwrap.dedent(found[1]))
    file = tmp_path / "50-fleet.toml"
    file.write_text(settings + "\n")
    main(["config", "check", str(file)])
    said = capsys.readouterr()
    wrong = [line for line in (said.out + said.err).splitlines() if line.startswith("✗") and str(file) in line]
    assert [line for line in wrong if "token_file: expected a file that is there" not in line] == []
