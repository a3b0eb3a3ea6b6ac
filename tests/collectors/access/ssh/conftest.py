from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collectors.access.ssh.server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Give an sshd in test mode; its folder lies outside pytest's, which nobody else may enter."""
    with tempfile.TemporaryDirectory() as folder:
        yield Server(Path(folder))
