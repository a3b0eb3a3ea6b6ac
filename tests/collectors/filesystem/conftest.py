"""A small host on disk whose accounts, packages and files the tables of the file system are read from."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.reading.host import Host

PASSWD = "root:x:0:0:root:/root:/bin/bash\nadmin:x:1000:1000::/home/admin:/bin/sh\n"
GROUP = "root:x:0:\nshadow:x:42:\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root folder with accounts, and nothing that others may write to."""
    tmp_path.chmod(0o755)
    write(tmp_path / "etc/passwd", PASSWD)
    write(tmp_path / "etc/group", GROUP)
    return tmp_path


@pytest.fixture
def host(root: Path) -> Host:
    return Host(str(root), secret=b"secret")


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
