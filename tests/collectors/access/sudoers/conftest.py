"""A small host for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.collectors.access.sudoers.tree import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Return a root folder with nothing in it but a sudo.conf that trusts the test's own user."""
    return Tree(tmp_path)
