"""A whole system for a test: a host, a hub, and the wire between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.system import System, Wire
from tests.hub.running import TOKEN, RunningHub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[RunningHub]:
    running = RunningHub(tmp_path / "hub").start()
    yield running
    running.kill()


@pytest.fixture
def wire(hub: RunningHub) -> Iterator[Wire]:
    wire = Wire(hub.port)
    yield wire
    wire.close()


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """Give a host that has nowhere to deliver to."""
    one = System(tmp_path / "host")
    yield one
    one.kill_all()


@pytest.fixture
def connected(system: System, hub: RunningHub, wire: Wire) -> System:
    """Give a host that delivers to the hub and enrols by itself."""
    token = system.folder / "token"
    token.touch(0o600)
    token.write_text(TOKEN)
    system.sink("hub", name="hub", url=wire.url, vkey=hub.describe()["vkey"], token_file=str(token))
    return system
