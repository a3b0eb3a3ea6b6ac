"""What the configuration leaves out is read by nobody: not by the service, not by hand, and evidence says so."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agent.collection.dropping import dropped_of
from agent.configuration.leaving_out import disabled_in, left_out
from agent.configuration.loading import load
from agent.configuration.rules import droppable
from collectors.catalogue import all_tables
from evidence.reader import StoreReader
from tests.agent.command_line import Evidenced
from tests.agent.configuration.conftest import Writing

TABLES = all_tables()
ABLE = sorted(f"{table.name}.{column}" for table in TABLES for column in droppable(table))
SETTINGS = """
[labels]
environment = "test"
role = "db"
[tables.host]
enabled = false
[privacy]
drop = ["groups.shadow_members"]
"""


def dropped(text: str, written: Writing) -> list[str]:
    loaded = load(os.fspath(written(text)))
    return sorted(name for each in left_out(loaded, TABLES) for name in dropped_of(each))


def test_what_is_named_is_left_out(written: Writing) -> None:
    assert dropped("", written) == []
    assert dropped(SETTINGS, written) == ["groups.shadow_members"]
    assert disabled_in(load(os.fspath(written(SETTINGS))).configuration, TABLES) == ["host"]


@pytest.mark.parametrize(
    "text",
    [
        SETTINGS + "nonsense",
        SETTINGS + "typo = 1\n",
        '[privacy]\ndrop = ["groups.shadow_membrs"]\n',
        '[privacy]\ndrop = ["users.name"]\n',
        '[privacy]\ndrop = "groups.shadow_members"\n',
    ],
)
def test_while_nobody_can_tell_what_was_meant_all_that_can_be_is_left_out(written: Writing, text: str) -> None:
    assert dropped(text, written) == ABLE


@pytest.fixture
def root(image: Path) -> Path:
    (image / "etc/group").write_text("root:x:0:\nstaff:x:50:\n")
    (image / "etc/gshadow").write_text("root:*::\nstaff:*::canary-member\n")
    return image


def test_an_inventory_by_hand_leaves_out_the_same(
    evidenced: Evidenced, written: Writing, root: Path, state: Path
) -> None:
    arguments = ("inventory", "--sign", "--root", root, "--state", state)
    told = evidenced(*arguments, "--config", written(SETTINGS), "--label", "role=web")
    assert told.code in {0, 3}, told.err
    blobs = [
        json.loads(line) for line in evidenced("show-payload", "--state", state, "--entry", "1").lines if line[0] == "{"
    ]
    statement = blobs[0]["predicate"]
    assert statement["host"]["labels"] == {"environment": "test", "role": "web"}
    tables = {each["name"]: each for each in statement["tables"]}
    assert (tables["host"]["coverage"], tables["host"]["header"]) == ("disabled", None)
    with StoreReader(str(state)) as reader:
        (log,) = reader.logs()
        entry = reader.entry(log.id, 1)
        assert entry.statement is not None
        rows = reader.blob(entry.statement.subjects()["groups"]) or b""
        header = json.loads(reader.blob(tables["groups"]["header"]) or b"")
    assert b"staff" in rows
    assert b"canary" not in rows
    (field,) = [each for each in header["fields"] if each["name"] == "shadow_members"]
    assert field["meaning"].startswith("not collected, by configuration")


def test_show_payload_shows_what_would_be_signed(evidenced: Evidenced, written: Writing, state: Path) -> None:
    told = evidenced("show-payload", "--table", "groups", "--state", state, "--config", written(SETTINGS))
    assert told.code == 0
    (header,) = [json.loads(line) for line in told.lines if line.startswith('{"fields"')]
    assert any(each["meaning"].startswith("not collected") for each in header["fields"])


def test_with_problems_nothing_is_read_by_hand(evidenced: Evidenced, written: Writing, root: Path, state: Path) -> None:
    told = evidenced("inventory", "--root", root, "--state", state, "--config", written("typo = 1\n"))
    assert (told.code, told.out) == (2, "")
    assert "typo: expected the name of a setting" in told.err


def test_a_table_that_is_disabled_is_read_if_somebody_names_it(
    evidenced: Evidenced, written: Writing, root: Path
) -> None:
    told = evidenced("inventory", "--root", root, "--table", "host", "--json", "--config", written(SETTINGS))
    assert (told.code, len(told.lines)) == (0, 1)


def test_with_everything_disabled_there_is_nothing_to_read(evidenced: Evidenced, written: Writing) -> None:
    text = "".join(f"[tables.{each.name}]\nenabled = false\n" for each in TABLES)
    told = evidenced("inventory", "--config", written(text))
    assert told.code == 3
    assert "all of them disabled" in told.err
