"""What an entry says of the clock by which it was signed: fault T2."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent import clocks

NOT_ALLOWED = -1
"""What adjtimex(2) returns where a filter of system calls is in the way."""


@pytest.mark.parametrize(
    ("kernel", "timesyncd", "expected"),
    [
        (0, False, True),
        (4, False, True),  # TIME_WAIT: a leap second was just inserted
        (5, False, False),
        (5, True, False),
        (NOT_ALLOWED, True, True),
        (NOT_ALLOWED, False, None),
    ],
)
def test_a_clock_that_nobody_keeps_is_told_from_one_of_which_nothing_is_known(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kernel: int,
    timesyncd: bool,
    expected: bool | None,
) -> None:
    mark = tmp_path / "synchronized"
    if timesyncd:
        mark.touch()
    monkeypatch.setattr(clocks, "TIMESYNC", os.fspath(mark))
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace(adjtimex=lambda _buffer: kernel))
    assert clocks.synchronised() is expected
