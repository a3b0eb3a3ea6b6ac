"""The file as it is built, and running it with nothing of this process's environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = ("--table", "users", "--table", "host")
"""Tables that take no time."""
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


@dataclass
class Ran:
    """What came of one run."""

    code: int
    out: str
    err: str

    @property
    def fingerprint(self) -> str:
        found = FINGERPRINT.search(self.out)
        assert found, self.out + self.err
        return found[0]


def build(folder: Path) -> Path:
    """Build the file into a folder and return its path."""
    command = [str(ROOT / "packaging/one-shot"), "--to", str(folder)]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / "evidenced.pyz"


@pytest.fixture(scope="session")
def pyz() -> Iterator[Path]:
    """Return the file, built into a folder that every user may go to."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: S103  on purpose
        yield build(Path(folder))


def ran(*command: str | Path, cwd: Path, **environment: str) -> Ran:
    """Run a command with this environment alone."""
    done = subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def verdict(pack: Path, fingerprint: str) -> str:
    """Return what the auditor's script says of a pack, with the key that was noted; it must find nothing wrong."""
    command = [sys.executable, "-IS", str(ROOT / "evidence/verify.py"), str(pack), "--key", fingerprint]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
