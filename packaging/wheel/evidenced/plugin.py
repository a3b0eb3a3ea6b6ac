"""The contract for authors of outside collectors: `from evidenced.plugin import Gap, Row, Table, means`.

Inside the program this is the very module the program uses. Elsewhere (in an author's own tests) it is loaded under a
private name, so that importing it puts nothing else within reach and shadows nobody's `collectors`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType

_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_rooms", "collectors", "contract.py")


def _contract() -> ModuleType:
    loaded = sys.modules.get("collectors.contract")
    if loaded is not None and os.path.realpath(str(loaded.__file__)) == os.path.realpath(_FILE):
        return loaded
    spec = importlib.util.spec_from_file_location("evidenced._contract", _FILE)
    if spec is None or spec.loader is None:
        raise ImportError(f"{_FILE}: expected the contract of collectors, found nothing; install evidenced again")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_found = _contract()

Row = _found.Row
Gap = _found.Gap
Table = _found.Table
MalformedError = _found.MalformedError
UnsupportedError = _found.UnsupportedError
CollectionError = _found.CollectionError
means = _found.means
path_gap = _found.path_gap
shown = _found.shown
utc = _found.utc

__all__ = [
    "CollectionError",
    "Gap",
    "MalformedError",
    "Row",
    "Table",
    "UnsupportedError",
    "means",
    "path_gap",
    "shown",
    "utc",
]
