"""What every table promises, tried on every recorded host; a new table or host is tested by being there.

`pytest tests/collectors/test_contract.py --write-expected` writes fixtures/hosts/HOST/expected/TABLE.json: read
the diff.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collectors.catalogue import all_tables
from collectors.contract import CollectionError, Gap, Row, Table, UnsupportedError, header_of
from collectors.reading.commands import LISTED
from collectors.reading.errors import ReadError
from collectors.reading.host import Host
from tests.collectors.canary_host import CANARY, PLANTS

HOSTS = sorted(each.parent for each in Path("fixtures/hosts").glob("*/host.toml"))
TABLES = {table.name: table for table in all_tables()}
PLANTED = "planted"

tables = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
Open = Callable[[], Host]


@pytest.fixture(params=[PLANTED, *(each.name for each in HOSTS)])
def open_host(request: pytest.FixtureRequest, planted: Path) -> Open:
    """Return a function that opens a host which nobody changes: each recorded one, and one full of canaries."""
    if request.param == PLANTED:
        return lambda: Host(str(planted), secret=b"secret")
    return lambda: Host.recorded(f"fixtures/hosts/{request.param}")


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tree of a host whose every secret is a canary."""
    root = tmp_path_factory.mktemp(PLANTED)
    for path, text in PLANTS.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def collected(table: Table, host: Host) -> dict[str, Any]:
    """Return what a table gives, as the objects its JSON would hold, in the order of evidence."""
    try:
        items = list(table.collect(host))
    except UnsupportedError as error:
        return {"unsupported": str(error)}
    except (CollectionError, ReadError) as error:
        return {"failed": str(error)}
    return {
        "rows": _objects([item for item in items if not isinstance(item, Gap)]),
        "gaps": _objects([item for item in items if isinstance(item, Gap)]),
    }


def _objects(items: Sequence[Row | Gap]) -> list[Any]:
    return [json.loads(line) for line in sorted(msgspec.json.encode(item, order="sorted") for item in items)]


def written(found: dict[str, Any]) -> str:
    """Return a golden file's text: one row a line, so that a change of one is a change of one line."""
    parts = []
    for name, value in found.items():
        text = json.dumps(value, sort_keys=True)
        if isinstance(value, list) and value:
            text = "[\n" + ",\n".join(json.dumps(each, sort_keys=True) for each in value) + "\n]"
        parts.append(f"{json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


@tables
def test_recorded_hosts_give_the_expected_rows(table: Table, request: pytest.FixtureRequest) -> None:
    for folder in HOSTS:
        path = folder / "expected" / f"{table.name}.json"
        text = written(collected(table, Host.recorded(str(folder))))
        if request.config.getoption("--write-expected", default=False):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        assert text == path.read_text(), path


@tables
def test_only_the_paths_and_commands_it_names_are_read(table: Table, open_host: Open) -> None:
    host = open_host()
    collected(table, host)
    assert strangers(table, host) == []


@pytest.mark.parametrize("table", [each for each in TABLES.values() if each.sweep is None], ids=lambda each: each.name)
def test_on_this_machine_too_it_keeps_to_what_it_names_and_to_its_type(table: Table) -> None:
    host = Host("/", secret=b"live")
    check_rows(table, collected(table, host))
    assert strangers(table, host) == []


def strangers(table: Table, host: Host) -> list[str]:
    """Return what was read for content although the table does not say so."""
    return [path for path in host.opened if not any(fnmatch.fnmatchcase(path, each) for each in table.reads)]


@tables
def test_keys_are_unique_and_rows_valid(table: Table, open_host: Open) -> None:
    check_rows(table, collected(table, open_host()))


def check_rows(table: Table, found: dict[str, Any]) -> None:
    rows = found.get("rows", [])
    keys = [tuple(json.dumps(row[name]) for name in table.key) for row in rows]
    assert len(set(keys)) == len(keys)
    for row in rows:
        msgspec.convert(row, table.row, strict=True)


@tables
def test_an_unchanged_host_gives_the_same_rows(table: Table, open_host: Open) -> None:
    assert collected(table, open_host()) == collected(table, open_host())


@tables
def test_an_empty_tree_gives_no_rows_that_pretend_and_no_defect(table: Table, tmp_path: Path) -> None:
    found = collected(table, Host(str(tmp_path), secret=b""))
    for row in found.get("rows", []):
        stated = {name: value for name, value in row.items() if value not in (None, [], "")}
        assert len(stated) <= 2, "a tree without files told more than a default"


@tables
def test_no_secret_of_the_host_is_told(table: Table, planted: Path) -> None:
    """H20: canaries stand wherever a secret may stand; they are in no row, no gap and no error."""
    found = collected(table, Host(str(planted), secret=b"secret"))
    assert CANARY not in json.dumps(found).lower()


def test_the_canaries_are_met(planted: Path) -> None:
    """The test above proves nothing on a host that gives nothing."""
    host = Host(str(planted), secret=b"secret")
    rows = {table.name: collected(table, host).get("rows", []) for table in TABLES.values()}
    for name in ("users", "groups", "password_status", "sudo_rules", "ssh_authorized_keys", "sshd_settings"):
        assert rows[name], f"{name} told nothing"
    unread = {f"/{path}" for path, text in PLANTS.items() if CANARY in text.lower()} - set(host.opened)
    assert unread == set()


@tables
def test_it_says_what_it_is(table: Table) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{1,62}", table.name)
    assert table.version >= 1
    assert table.interval_s > 0
    assert table.about.endswith(".")
    header = header_of(table)
    assert set(table.key) <= {field.name for field in header.fields}
    assert all(re.fullmatch(r"[a-z0-9_]{1,64}", field.name) for field in header.fields)
    assert json.loads(header.encode())["table"] == table.name


@tables
def test_it_names_what_it_reads(table: Table) -> None:
    commands = {command.source for command in LISTED}
    assert all(each.startswith(("/", "*")) or each in commands for each in table.reads)
    assert table.reads or table.sweep is not None


@tables
def test_numbers_have_their_unit_in_their_name_and_in_their_header(table: Table) -> None:
    units = {"days": "_days", "bytes": "_bytes", "bits": "bits", "seconds": "_s"}
    for field in header_of(table).fields:
        if field.unit in units:
            assert field.name.endswith(units[field.unit]) or field.name == field.unit, field.name


def test_every_recorded_host_expects_every_table_and_no_other() -> None:
    for folder in HOSTS:
        assert {each.stem for each in (folder / "expected").iterdir()} == set(TABLES), folder.name


def test_a_recorded_host_tells_which_it_is() -> None:
    for folder in HOSTS:
        assert os.path.getsize(folder / "host.toml") > 0
        assert (folder / "facts.json").exists()
