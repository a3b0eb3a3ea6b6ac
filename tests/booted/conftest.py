"""Booted hosts for tests: one for each distribution and module, with evidenced installed as a package installs it."""

from __future__ import annotations

import fcntl
import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.booted.host import BootedHost, booted

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = ("debian-12", "debian-13")
BONUS = ("ubuntu-22.04", "ubuntu-24.04")
"""Made where their archive can be had."""
NOT_MADE = 4
"""What packaging/trees says of a tree that could not be made."""

TEST_CONFIGURATION = """
[schedule]
jitter = "0s"
minimum_distance = "1s"
[schedule.pressure]  # of the machine that runs the tests: what else it does is no matter here
cpu = 0
memory = 0
io = 0
"""


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with what a package would install; made once for all workers of a test run."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    with (shared / "stage.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = shared / "stage"
        if not folder.exists():
            made = subprocess.run(
                [ROOT / "packaging" / "stage", shared / "stage.partial"],
                env={**os.environ, "PYTHON": sys.executable},
                capture_output=True,
                check=False,
            )
            assert made.returncode == 0, made.stderr.decode()
            (shared / "stage.partial").rename(folder)
    return folder


@pytest.fixture(scope="session")
def tree_of() -> Callable[[str], Path | None]:
    """Return what gives the root tree of a distribution, None if no mirror has it; asked once for each."""

    @functools.cache
    def tree(distribution: str) -> Path | None:
        made = subprocess.run([ROOT / "packaging" / "trees", distribution], capture_output=True, check=False)
        assert made.returncode in (0, NOT_MADE), made.stderr.decode()
        return Path(made.stdout.decode().strip()) if made.returncode == 0 else None

    return tree


@pytest.fixture(scope="module", params=[*DISTRIBUTIONS, *BONUS])
def bare_host(
    request: pytest.FixtureRequest,
    tree_of: Callable[[str], Path | None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[BootedHost]:
    """Give a booted host on which evidenced is installed, and not started."""
    tree = tree_of(request.param)
    if tree is None:
        pytest.skip("needs a root tree that no mirror gave")
    stage: Path = request.getfixturevalue("stage")  # made only where it is of use
    with booted(tree, tmp_path_factory.mktemp("host"), binds=[f"{stage}:/mnt:ro"]) as host:
        host.ok("cp", "-a", "/mnt/.", "/")
        host.ok("systemd-sysusers")
        host.ok("systemd-tmpfiles", "--create")
        host.ok("systemctl", "daemon-reload")
        host.write("/etc/evidenced/conf.d/test.toml", TEST_CONFIGURATION)
        yield host


@pytest.fixture(scope="module")
def host(bare_host: BootedHost) -> BootedHost:
    """Return a booted host on which the service runs and has read everything once."""
    bare_host.ok("systemctl", "preset", "evidenced.service", "evidenced-sign.socket", "evidenced-upload.socket")
    bare_host.ok("systemctl", "start", "evidenced.service")
    bare_host.until(lambda: bool(bare_host.snapshots()), 60, "a first signed snapshot")
    return bare_host
