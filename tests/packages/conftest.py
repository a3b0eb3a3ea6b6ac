"""Packages for tests, built once for all workers of a run; and hosts on which nothing of ours is installed yet."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.booted.conftest import NOT_MADE
from tests.booted.host import BootedHost, booted

ROOT = Path(__file__).parents[2]
PACKAGES = "/mnt/packages"
"""Where a host sees what was built."""
EXCHANGE = "/mnt/exchange"
"""A folder that all hosts of a test run see, and may write to."""
WHEN = "1798761600"
"""The time of every file in the packages: 2027-01-01. Otherwise it is that of the commit."""
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def build(folder: Path, *options: str) -> Path:
    """Build packages into a folder and return it."""
    done = subprocess.run(
        [ROOT / "packaging/packages", "--to", folder, *options],
        env={**os.environ, "PYTHON": sys.executable, "SOURCE_DATE_EPOCH": WHEN},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with all packages for both machines, and a second release of the agent's for this one."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    with (shared / "packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = shared / "packages"
        if not folder.exists():
            partial = build(shared / "packages.partial")
            build(partial, "--release", "2", "--arch", ARCH, "--package", "evidenced")
            partial.rename(folder)
    return folder


Boot = Callable[[str], contextlib.AbstractContextManager[BootedHost]]


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all hosts see."""
    return tmp_path_factory.mktemp("exchange")


@pytest.fixture(scope="session")
def boot(built: Path, exchange: Path, tmp_path_factory: pytest.TempPathFactory) -> Boot:
    """Return what boots a tree of a name as a fresh host that sees the packages."""
    binds = [f"{built}:{PACKAGES}:ro", f"{exchange}:{EXCHANGE}"]

    @contextlib.contextmanager
    def fresh(name: str) -> Iterator[BootedHost]:
        made = subprocess.run([ROOT / "packaging/trees", name], capture_output=True, check=False)
        if made.returncode == NOT_MADE:
            pytest.skip("needs a root tree that no mirror gave")
        assert made.returncode == 0, made.stderr.decode()
        with booted(Path(made.stdout.decode().strip()), tmp_path_factory.mktemp("host"), binds=binds) as host:
            yield host

    return fresh
