"""What the tests of faults share: a victim, and states to begin with."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence.log import EvidenceStore
from tests.evidence.faults.injection import Victim
from tests.evidence.store_parts import SEEN, table, ticking


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    process = Victim()
    yield process
    process.close()


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """Return a folder in memory where there is one: what is injected does not depend on the disk behind it."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="evidenced-", dir=place) as folder:
        yield Path(folder)


@pytest.fixture
def scratch(memory: Path) -> Iterator[Path]:
    """Return an empty folder for one test, in memory."""
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def template(memory: Path) -> Path:
    """Return a state with a log of four entries."""
    state = memory / "template"
    with EvidenceStore.open(str(state), machine="aa" * 32, clock=ticking()) as store:
        for at in range(3):
            store.append_snapshot([table("users", b'{"n":%d}' % at), table("groups")], SEEN)
    return state
