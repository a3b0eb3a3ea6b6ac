"""Configurations as files, which is how people write them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

Writing = Callable[..., Path]
"""Write the text of agent.toml, and by keyword those of files in conf.d; return the main file."""


@pytest.fixture
def written(tmp_path: Path) -> Writing:
    folder = tmp_path / "evidenced"

    def write(main: str | bytes = "", **others: str) -> Path:
        (folder / "conf.d").mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        file = folder / "agent.toml"
        file.write_bytes(main if isinstance(main, bytes) else textwrap.dedent(main).encode())
        for name, text in others.items():
            (folder / "conf.d" / f"{name}.toml").write_text(textwrap.dedent(text), "utf-8")
        for each in (file, *(folder / "conf.d").iterdir()):
            each.chmod(0o644)
        (folder / "conf.d").chmod(0o755)
        return file

    return write
