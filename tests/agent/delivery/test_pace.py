"""How fast a batch leaves: fault N12."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.delivery.pace import Pace
from tests.agent.delivery.batches import host


class Watch:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.mark.parametrize("rate", [100, 1000, 1 << 20])
def test_bytes_leave_no_faster_than_the_rate_over_all_bodies(tmp_path: Path, rate: int) -> None:
    watch = Watch()
    pace = Pace(rate, watch, watch.sleep)
    with host(tmp_path).opened() as batch:
        for _ in range(2):
            assert b"".join(pace.body(batch).blocks()) == b"".join(batch.blocks())
        least = (2 * batch.size - max(1, rate // 4)) / rate
        assert least <= watch.seconds - 100 <= 2 * batch.size / rate + 1


def test_a_slow_line_sends_small_blocks_so_that_nobody_takes_it_for_silence(tmp_path: Path) -> None:
    watch = Watch()
    with host(tmp_path).opened() as batch:
        blocks = [len(block) for block in Pace(1000, watch, watch.sleep).body(batch).blocks()]
    assert max(blocks) == 250


def test_a_part_of_a_batch_has_the_length_it_says(tmp_path: Path) -> None:
    with host(tmp_path).opened() as batch:
        body = Pace(1 << 30).body(batch, 10, 110)
        assert (body.length, b"".join(body.blocks())) == (100, b"".join(batch.blocks())[10:110])
