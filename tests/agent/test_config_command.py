"""`evidenced config`, as somebody types it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.agent.command_line import Evidenced


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text('organisation = "Example"\n[[sinks]]\nname = "stick"\ntype = "directory"\npath = "/media/stick"\n')
    path.chmod(0o644)
    return path


def test_a_good_file_is_said_to_be_good(evidenced: Evidenced, file: Path) -> None:
    told = evidenced("config", "check", file)
    assert (told.code, told.err) == (0, "")
    assert told.lines[-1].startswith("✓ 1 file; digest ")
    assert evidenced("config", "check", "--config", file).out == told.out


def test_problems_are_printed_and_the_exit_code_is_2(evidenced: Evidenced, file: Path) -> None:
    file.write_text("a = 1\nb = 2\n")
    told = evidenced("config", "check", file)
    assert (told.code, told.err) == (2, "")
    assert [line[:2] for line in told.lines] == ["✗ "] * 3
    assert told.lines[-1] == "✗ 2 problems in 1 file"
    facts = [json.loads(line) for line in evidenced("config", "check", "--json", file).lines]
    assert [(each["key"], each["line"], each["weight"]) for each in facts] == [("a", 1, "problem"), ("b", 2, "problem")]


def test_a_warning_is_no_problem(evidenced: Evidenced, file: Path) -> None:
    file.write_text('[[sinks]]\nname = "a"\ntype = "http-put"\nurl = "https://a.example"\nconfirm = "status"\n')
    told = evidenced("config", "check", file)
    assert told.code == 0
    assert told.lines[0].startswith("! ")
    assert "1 file, 1 warning; digest" in told.lines[1]


def test_what_is_in_effect_is_shown_with_where_it_comes_from(evidenced: Evidenced, file: Path) -> None:
    told = evidenced("config", "show", file)
    assert told.code == 0
    shown = [line.split("  #")[0].rstrip() + " #" + line.split("#")[-1] for line in told.lines]
    assert f'organisation = "Example" # {file}:1' in shown
    assert f'sinks[0].path = "/media/stick" # {file}:5' in shown
    assert 'schedule.heartbeat = "1h" # default' in shown
    facts = {each["key"]: each for each in map(json.loads, evidenced("config", "show", file, "--json").lines)}
    assert facts["organisation"] == {
        "default": False,
        "file": os.fspath(file),
        "key": "organisation",
        "line": 1,
        "value": "Example",
    }
    assert facts["schedule.heartbeat"]["value"] == 3600


def test_a_configuration_with_problems_is_not_shown_as_if_it_were_in_effect(evidenced: Evidenced, file: Path) -> None:
    file.write_text("a = 1\n")
    told = evidenced("config", "show", file)
    assert (told.code, told.out) == (2, "")
    assert "a: expected the name of a setting" in told.err


def test_a_file_is_named_once(evidenced: Evidenced, file: Path) -> None:
    told = evidenced("config", "check", file, "--config", file)
    assert (told.code, told.out) == (2, "")
    assert "found both" in told.err


def test_escapes_in_a_file_do_not_reach_the_terminal(evidenced: Evidenced, file: Path) -> None:
    file.write_text('"\\u001b[2J" = 1\n[labels]\n"x\\u202e" = "y"\n')
    told = evidenced("config", "check", file)
    assert told.code == 2
    assert not {"\x1b", "\u202e"} & set(told.out)
