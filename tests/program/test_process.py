"""Signals of either program: what a shell or nohup(1) has it ignore stays ignored."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent.parent
PROGRAM = """
import signal
from program import interrupts, process

interrupts.end_quietly()
interrupts.raise_again()
process.heed((signal.SIGTERM, signal.SIGHUP))
print(*(signal.getsignal(each) is signal.SIG_IGN for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)))
"""


@pytest.mark.parametrize(
    ("ignored", "said"), [("INT", "True False False"), ("TERM", "False True False"), ("HUP", "False False True")]
)
def test_a_signal_that_is_ignored_from_the_start_stays_so(ignored: str, said: str) -> None:
    script = f"trap '' {ignored}; exec {sys.executable} -c '{PROGRAM}'"
    ran = subprocess.run(["sh", "-c", script], cwd=TOP, capture_output=True, text=True, check=False, timeout=60)
    assert ran.stdout == f"{said}\n", ran.stderr
