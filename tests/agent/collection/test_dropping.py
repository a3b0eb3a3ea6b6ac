"""What is left out is null in every row, and evidence says that nobody looked."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest

from agent.collection.dropping import DROPPED, dropped_of, without
from agent.collection.parent import collect
from agent.configuration.rules import droppable
from agent.observing import sealed
from collectors.catalogue import all_tables
from collectors.contract import Table, header_of
from collectors.reading.host import Host

TABLES = {each.name: each for each in all_tables()}
RECORDED = Path(__file__).parents[3] / "fixtures/hosts/debian-12"
SWITCHES = [f"{table.name}.{column}" for table in TABLES.values() for column in sorted(droppable(table))]


def opened() -> Host:
    return Host.recorded(str(RECORDED), secret=b"secret")


def test_there_are_columns_that_can_be_dropped_in_every_kind_of_table() -> None:
    assert {"packages.maintainer", "privileged_files.owner", "sudo_rules.runas_users"} <= set(SWITCHES)
    assert not {"users.name", "groups.gid", "sudo_rules.users"} & set(SWITCHES)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_dropped_columns_are_null_in_every_row_and_all_else_is_as_before(table: Table) -> None:
    drop = [each for each in SWITCHES if each.startswith(f"{table.name}.")]
    if table.sweep is not None or not drop:
        assert without([table], []) == [table]
        return
    (narrowed,) = without([table], drop)
    before, after = collect([table], opened) + collect([narrowed], opened)
    assert (after.coverage, after.failure, len(after.rows)) == (before.coverage, before.failure, len(before.rows))
    assert after.gaps == before.gaps
    columns = {each.partition(".")[2] for each in drop}
    rows = [msgspec.json.decode(line) for line in before.rows]
    expected = [{**row, **dict.fromkeys(columns)} for row in rows]
    order = msgspec.json.Encoder(order="sorted").encode
    assert sorted(after.rows) == sorted(map(order, expected))


def test_what_is_dropped_is_not_in_any_blob(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (tmp_path / "etc/group").write_text("staff:x:50:\n")
    (tmp_path / "etc/gshadow").write_text("staff:*:canary-admin:canary-member\n")
    tables = without([TABLES["groups"]], ["groups.admins", "groups.shadow_members"])
    (collection,) = collect(tables, lambda: Host(str(tmp_path), secret=b"secret"))
    assert collection.coverage in {"complete", "partial"}
    assert collection.rows
    assert b"canary" not in b"".join(itertools.chain(collection.rows, [sealed(collection, None).gaps]))


def test_the_header_says_that_nobody_looked() -> None:
    table = TABLES["packages"]
    (narrowed,) = without([table], ["packages.maintainer"])
    before = {each.name: each for each in header_of(table).fields}
    after = {each.name: each for each in header_of(narrowed).fields}
    assert after.pop("maintainer").meaning == DROPPED + before.pop("maintainer").meaning
    assert after == before
    assert header_of(narrowed).meaning == header_of(table).meaning
    assert header_of(narrowed).encode() != header_of(table).encode()


@pytest.mark.parametrize("name", ["users.name", "users.home", "sudo_rules.users", "packages.nothing"])
def test_a_column_that_cannot_be_null_is_not_dropped(name: str) -> None:
    with pytest.raises(ValueError, match="expected columns that may be null"):
        without(list(TABLES.values()), [name])


def test_a_table_knows_what_it_leaves_out() -> None:
    drop = ["groups.admins", "groups.shadow_members", "packages.maintainer"]
    tables = without([TABLES["groups"], TABLES["packages"], TABLES["users"]], drop)
    assert [name for each in tables for name in dropped_of(each)] == drop
    assert [dropped_of(each) for each in TABLES.values()] == [[] for _ in TABLES]
