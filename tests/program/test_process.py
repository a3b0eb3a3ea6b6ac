"""Signals of either program: what is ignored stays ignored, and what heeds them ends with a true exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
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


UNREAD = """
import signal, sys
from program import process

def main(_):
    sys.stdout.write("y" * (1 << 16))
    sys.stdout.flush()
    print("left")
    sys.stderr.write("full\\n")
    return 1

process.open_streams("x")
process.heed((signal.SIGTERM, signal.SIGHUP))
sys.exit(process.run("x", main))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_what_waits_for_a_reader_of_its_last_words(number: signal.Signals) -> None:
    """A traceback would end it with 1, which means that the evidence is bad."""
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", UNREAD], cwd=TOP, stdout=writing, stderr=subprocess.PIPE, text=True
    ) as waiting:
        try:
            assert waiting.stderr is not None
            assert waiting.stderr.readline() == "full\n"
            time.sleep(0.5)  # until it waits
            waiting.send_signal(number)
            assert waiting.wait(30) == 128 + number
            assert waiting.stderr.read() == f"x: stopped by {number.name}\n"
        finally:
            waiting.kill()
            os.close(reading)
            os.close(writing)
