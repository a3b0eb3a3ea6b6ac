"""Which tables there are: every module of the four folders of collectors that ends with a `TABLE`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType

from collectors import access, filesystem, platform, software
from collectors.contract import Table

FOLDERS = (access, filesystem, platform, software)


class CatalogueError(Exception):
    """Two tables have one name, or a `TABLE` is none."""


def all_tables(folders: Iterable[ModuleType] = FOLDERS) -> tuple[Table, ...]:
    """Return every table, sorted by name; the modules in all folders below are imported to find them.

    Raises: CatalogueError, which names both modules.
    """
    found: dict[str, tuple[Table, str]] = {}
    for module in (module for folder in folders for module in _modules(folder)):
        table = getattr(module, "TABLE", None)
        if table is None:
            continue
        if not isinstance(table, Table):
            raise CatalogueError(f"{module.__name__}: expected TABLE to be a Table, found {type(table).__name__}")
        if table.name in found:
            first = found[table.name][1]
            raise CatalogueError(f"{module.__name__}: table {table.name} is already in {first}, rename one of them")
        found[table.name] = (table, module.__name__)
    return tuple(found[name][0] for name in sorted(found))


def _modules(folder: ModuleType) -> Iterator[ModuleType]:
    for each in pkgutil.walk_packages(folder.__path__, folder.__name__ + "."):
        yield importlib.import_module(each.name)
