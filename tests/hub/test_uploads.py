"""Uploads that rest make room: whoever has seen a checkpoint can begin some of its log, and must not keep it shut."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence.state import open_state
from hub.limits import Limits
from hub.problem import Problem
from hub.uploads import REST_S, Announced, Uploads

LIMITS = Limits()


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def uploads(tmp_path: Path, clock: Clock) -> Iterator[Uploads]:
    folder = open_state(str(tmp_path / "uploads"), create=True)
    yield Uploads(folder, LIMITS, clock)
    folder.close()


def announced(number: int, log_id: str = "0123456789abcdef-1", length: int = 1000) -> Announced:
    digest = f"{number:064x}"
    return Announced(log_id=log_id, first=0, size=number + 1, digest=digest, length=length, note="a note")


def test_uploads_in_use_are_not_driven_out(uploads: Uploads) -> None:
    for number in range(LIMITS.uploads_per_log):
        uploads.begin(announced(number))
    with pytest.raises(Problem, match="429"):
        uploads.begin(announced(99))


def test_the_one_that_rested_longest_makes_room(uploads: Uploads, clock: Clock) -> None:
    keys = [uploads.begin(announced(number)) for number in range(LIMITS.uploads_per_log)]
    clock.ahead = REST_S + 5
    uploads.append(keys[0], 0, b"a piece")
    assert uploads.peek(uploads.begin(announced(99))) == announced(99)
    assert len([key for key in keys if uploads.peek(key) is not None]) == LIMITS.uploads_per_log - 1
    assert uploads.offset(keys[0]) == len(b"a piece")


def test_one_that_a_request_works_on_stays_however_long_that_takes(uploads: Uploads, clock: Clock) -> None:
    keys = [uploads.begin(announced(number)) for number in range(LIMITS.uploads_per_log)]
    for key in keys:
        uploads.take(key)
    clock.ahead = REST_S + 5
    with pytest.raises(Problem, match="429"):
        uploads.begin(announced(99))


def test_uploads_of_other_logs_are_left_alone(uploads: Uploads, clock: Clock) -> None:
    other = uploads.begin(announced(7, log_id="fedcba9876543210-1"))
    for number in range(LIMITS.uploads_per_log):
        uploads.begin(announced(number))
    clock.ahead = REST_S + 5
    uploads.begin(announced(99))
    assert uploads.peek(other) is not None


def test_room_is_made_for_large_ones_too(uploads: Uploads, clock: Clock) -> None:
    keys = [uploads.begin(announced(number, length=LIMITS.max_batch)) for number in range(2)]
    with pytest.raises(Problem, match="429"):
        uploads.begin(announced(99, length=LIMITS.max_batch))
    clock.ahead = REST_S + 5
    uploads.begin(announced(99, length=LIMITS.max_batch))
    assert len([key for key in keys if uploads.peek(key) is not None]) == 1
