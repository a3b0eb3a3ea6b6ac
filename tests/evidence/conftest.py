"""What tests of the evidence room share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.evidence.foreign_verdicts import go_verdict_in


@pytest.fixture(scope="session")
def go_accepts(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any]], bool]:
    """Return the verdict of Go's checksum-database code on a note and proofs (see foreign/note.go)."""
    return go_verdict_in(tmp_path_factory.mktemp("go"))
