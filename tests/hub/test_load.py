"""The load generator, small: it works, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

from bench import hub_load


def test_twenty_agents_lose_nothing(tmp_path: Path) -> None:
    load = hub_load.run(20, 2, tmp_path, at_once=20)
    assert (load.batches, len(load.waits), load.lost) == (40, 40, 0)
    assert load.lines()[-1] == "lost       0"
