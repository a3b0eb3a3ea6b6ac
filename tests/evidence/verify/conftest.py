"""What the tests of the auditor's script share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence import verify
from tests.evidence.verify.verdict import Auditor


@pytest.fixture
def auditor(tmp_path: Path) -> Auditor:
    return Auditor(tmp_path)


@pytest.fixture(autouse=True)
def _fresh_tables() -> Iterator[None]:
    """Let no test profit from what another has cached."""
    yield
    verify.moment.cache_clear()
    verify.allowed_key.cache_clear()
