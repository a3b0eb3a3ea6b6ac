"""What tests of the hub share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hub.agents import Agent
from tests.hub.running import RunningHub

_SEEDS = itertools.count(1000)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """Return a hub that the tests of a module share; each brings agents of its own."""
    running = RunningHub(tmp_path_factory.mktemp("hub") / "data").start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def own_hub(tmp_path: Path) -> Iterator[RunningHub]:
    """Return a hub for one test, which may kill it."""
    running = RunningHub(tmp_path / "data").start()
    yield running
    running.kill()


@pytest.fixture
def new_agent(hub: RunningHub) -> Callable[[], Agent]:
    """Return agents that are enrolled at the shared hub."""

    def made() -> Agent:
        agent = Agent(next(_SEEDS))
        assert hub.enrol(agent).status == 201
        return agent

    return made
