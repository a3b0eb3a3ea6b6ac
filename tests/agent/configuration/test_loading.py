"""Files become settings; later ones win, and all that is wrong is told at once."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from agent.configuration.digest import digest
from agent.configuration.files import SYSTEM_FILE, configuration_file
from agent.configuration.loading import Loaded, configured, load
from agent.configuration.model import Configuration, Directory, HttpPut
from collectors.catalogue import all_tables
from program.errors import WRONG_USE, CommandError
from tests.agent.configuration.conftest import Writing


def told(loaded: Loaded) -> list[str]:
    """Return the problems with their files' names alone."""
    return [str(each).rpartition("/")[2] if ".toml" in str(each) else str(each) for each in loaded.problems]


def test_an_empty_file_is_the_defaults(written: Writing) -> None:
    loaded = load(os.fspath(written()))
    assert (loaded.problems, loaded.warnings, loaded.configuration) == ([], [], Configuration())


def test_without_any_file_there_are_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", os.fspath(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    loaded = load()
    assert (loaded.files, loaded.problems, loaded.configuration) == ([], [], Configuration())


def test_a_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    (problem,) = load(os.fspath(tmp_path / "none.toml")).problems
    assert "expected a file that can be read, found no such file or directory" in str(problem)


def test_the_systems_main_file_need_not_exist_when_it_is_named(
    monkeypatch: pytest.MonkeyPatch, written: Writing
) -> None:
    main = written("", hub='[[sinks]]\nname = "stick"\ntype = "directory"\npath = "/mnt/stick"\n')
    main.unlink()
    assert load(os.fspath(main)).problems
    monkeypatch.setattr("agent.configuration.loading.SYSTEM_FILE", os.fspath(main))
    loaded = load(os.fspath(main))
    assert (loaded.problems, [each.name for each in loaded.configuration.sinks]) == ([], ["stick"])


def test_root_has_the_systems_file_and_a_user_his_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("agent.configuration.files.SYSTEM_FILE", SYSTEM_FILE)
    assert configuration_file() == "/etc/evidenced/agent.toml"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert configuration_file() == "/home/ann/.config/evidenced/agent.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/somewhere")
    assert configuration_file() == "/somewhere/evidenced/agent.toml"
    assert configuration_file("/x/../y.toml") == "/y.toml"


def test_later_files_replace_values_merge_tables_and_add_sinks(written: Writing) -> None:
    main = written(
        """
        [schedule]
        heartbeat = "2h"
        jitter = "10s"
        [privacy]
        drop = ["packages.maintainer"]
        [[sinks]]
        name = "stick"
        type = "directory"
        path = "/mnt/stick"
        """,
        b_later="""
        [schedule]
        heartbeat = "4h"
        [privacy]
        drop = []
        """,
        a_earlier="""
        [schedule]
        heartbeat = "3h"
        [[sinks]]
        name = "store"
        type = "http-put"
        url = "https://store.example/evidence/"
        """,
    )
    loaded = load(os.fspath(main))
    settings = loaded.configuration
    assert loaded.problems == []
    assert (settings.schedule.heartbeat, settings.schedule.jitter) == (4 * 3600, 10)
    assert settings.privacy.drop == ()
    assert settings.sinks == (
        Directory(name="stick", path="/mnt/stick"),
        HttpPut(name="store", url="https://store.example/evidence/"),
    )
    places = {key: (os.path.basename(place.file), place.line) for key, place in loaded.origins.items()}
    assert places["schedule", "heartbeat"] == ("b_later.toml", 3)
    assert places["schedule", "jitter"] == ("agent.toml", 4)
    assert places["sinks", 1, "url"] == ("a_earlier.toml", 7)


def test_hidden_and_other_files_of_conf_d_are_not_read(written: Writing) -> None:
    main = written()
    for name in (".hidden.toml", "10.toml.dpkg-old", "README"):
        (main.parent / "conf.d" / name).write_text("nonsense")
    assert load(os.fspath(main)).files == [os.fspath(main)]


def test_all_problems_are_told_together_each_with_its_line_and_a_suggestion(written: Writing) -> None:
    main = written(
        """
        organisaton = "x"
        [schedul]
        [schedule]
        heartbeat = "3"
        [tables.usrs]
        enabled = 1
        [tables.users]
        intervall = "1h"
        """,
        later="""
        [[sinks]]
        type = "directry"
        [[sinks]]
        type = "directory"
        path = "relative"
        """,
    )
    loaded = load(os.fspath(main), all_tables())
    assert told(loaded) == [
        "agent.toml:2: organisaton: expected the name of a setting, found another; did you mean organisation",
        "agent.toml:3: schedul: expected the name of a setting, found another; did you mean schedule",
        """agent.toml:5: schedule.heartbeat: expected a span such as "15m", from 1m to 1d, found '3'""",
        "agent.toml:7: tables.usrs.enabled: expected true or false, found 1",
        "agent.toml:9: tables.users.intervall: expected the name of a setting, found another; did you mean interval",
        (
            'later.toml:3: sinks[0].type: expected "directory" or "http-put" or "hub", found \'directry\'; '
            "did you mean directory"
        ),
        (
            "later.toml:6: sinks[1].path: expected an absolute path without .. or control characters, "
            "found text of 8 characters"
        ),
        "later.toml:4: sinks[1]: expected name = 1 to 32 characters of a-z 0-9 -, found none",
        "agent.toml:6: tables.usrs: expected the name of a table, found another; did you mean users",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('token = "CANARY"', "name of a setting"),
        ('token_file = "CANARY"', "absolute path"),
        ('url = "https://ann:CANARY@hub.example/"', "without user, password or query"),
        ('url = "https://store.example/?sig=CANARY"', "without user, password or query"),
        ('proxy = "http://ann:CANARY@proxy.example:3128"', "without user or password"),
        ('vkey = "CANARY"', "NAME+ID+KEY"),
        ('pin_sha256 = "CANARY"', "hexadecimal"),
        ('client_key = """CANARY"""', "three quotes"),
        ('client_key = "CANARY', "TOML"),
        ("token_file = CANARY", "TOML"),
    ],
)
def test_a_secret_typed_in_the_wrong_place_is_never_repeated(written: Writing, text: str, expected: str) -> None:
    usual = '[[sinks]]\nname = "hub"\ntype = "hub"\n'
    url = "" if text.startswith("url") else 'url = "https://hub.example"\n'
    (problem,) = load(os.fspath(written(usual + url + text + "\n"))).problems
    assert expected in str(problem)
    assert "CANARY" not in str(problem)


def test_only_a_configuration_without_a_problem_is_handed_out(written: Writing) -> None:
    talk = io.StringIO()
    main = os.fspath(written("wrong = 1\nworse = 2\n"))
    with pytest.raises(CommandError, match="found 2 problems") as caught:
        configured(main, stream=talk)
    assert caught.value.code == WRONG_USE
    assert [line.split(":")[1] for line in talk.getvalue().splitlines()] == ["1", "2"]


def test_the_digest_is_that_of_what_is_in_effect(written: Writing) -> None:
    empty = digest(Configuration())
    assert digest(configured(os.fspath(written("# nothing\n")))) == empty
    assert digest(configured(os.fspath(written('[schedule]\nheartbeat = "60m"\n')))) == empty
    assert digest(configured(os.fspath(written('[schedule]\nheartbeat = "61m"\n')))) != empty
    sinks = [f'[[sinks]]\nname = "{name}"\ntype = "directory"\npath = "/{name}"\n' for name in "ab"]
    forth, back = ("".join(each) for each in (sinks, reversed(sinks)))
    assert digest(configured(os.fspath(written(forth)))) == digest(configured(os.fspath(written(back))))
