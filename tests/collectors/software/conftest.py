"""Hosts made of a folder, for the package databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from collectors.reading.host import Host

Plant = Callable[[str, str | bytes], Path]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(str(tmp_path), secret=b"secret")


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Return a function that writes a file below the root of `host` and gives its real path."""

    def write(path: str, content: str | bytes) -> Path:
        real = tmp_path / path.lstrip("/")
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_bytes(content if isinstance(content, bytes) else content.encode())
        return real

    return write
