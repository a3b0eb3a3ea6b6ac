"""Tables are found by being there."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from collectors.catalogue import CatalogueError, all_tables

MODULE = """
from typing import Annotated
from collectors.contract import Row, Table, means

class Thing(Row):
    '''One thing.'''
    name: Annotated[str, means("its name")]

TABLE = Table({name!r}, Thing, key=("name",), reads=(), collect=lambda host: ())
"""

Folder = Callable[[dict[str, str]], ModuleType]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """Return a function that makes a package of collectors from names and texts of modules."""

    def make(modules: dict[str, str]) -> ModuleType:
        package = tmp_path / f"outside_{tmp_path.name}"
        for name, text in {"__init__.py": "", **modules}.items():
            path = package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        return importlib.import_module(package.name)

    return make


def test_tables_come_sorted_by_name() -> None:
    names = [table.name for table in all_tables()]
    assert names == sorted(names)
    assert {"host", "users", "password_status"} <= set(names)


def test_a_new_module_is_a_new_table_without_a_list_to_edit(folder: Folder) -> None:
    made = folder({"b.py": MODULE.format(name="apples"), "deeper/__init__.py": "", "deeper/a.py": "X = 1"})
    assert [table.name for table in all_tables([made])] == ["apples"]


def test_a_module_in_a_folder_below_is_found(folder: Folder) -> None:
    made = folder({"deeper/__init__.py": "", "deeper/a.py": MODULE.format(name="pears")})
    assert [table.name for table in all_tables([made])] == ["pears"]


def test_two_tables_of_one_name_are_an_error_that_names_both_modules(folder: Folder) -> None:
    made = folder({"a.py": MODULE.format(name="same"), "b.py": MODULE.format(name="same")})
    with pytest.raises(CatalogueError, match=rf"{made.__name__}\.b: table same is already in {made.__name__}\.a"):
        all_tables([made])


def test_a_table_that_is_none_is_an_error(folder: Folder) -> None:
    with pytest.raises(CatalogueError, match="expected TABLE to be a Table, found str"):
        all_tables([folder({"a.py": "TABLE = 'users'"})])
