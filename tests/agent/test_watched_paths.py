"""What the tables ask to have watched can be watched."""

from __future__ import annotations

import fnmatch

import pytest

from collectors.catalogue import all_tables
from collectors.contract import Table

HOME = "{home}/"
TABLES = {table.name: table for table in all_tables()}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_a_table_watches_plain_paths_that_it_reads(table: Table) -> None:
    for path in table.watches:
        assert path.startswith(("/", HOME))
        assert "//" not in path
        assert not set("\t\n*?[") & set(path)
        if not path.startswith(HOME):
            inside = path + "*" if path.endswith("/") else path
            reads = (*table.reads, "/etc/localtime", "/var/lib/rpm/*", "/usr/*")  # looked at and not opened
            assert any(fnmatch.fnmatchcase(inside, each) for each in reads), path


def test_every_table_about_access_is_watched_and_no_table_of_the_sweep_is() -> None:
    for table in TABLES.values():
        assert bool(table.watches) == (table.sweep is None), table.name


def test_no_table_may_be_read_without_a_pause() -> None:
    assert all(1 <= table.min_distance_s <= table.interval_s for table in TABLES.values())
