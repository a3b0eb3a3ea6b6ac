"""A supervisor in a process of its own, with a stand-in for the parts that it starts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.daemon import __main__ as program
from agent.supervision import Supervision, parse
from tests.agent.daemon.starting_children import PYTHON

STAND_IN = Path(__file__).with_name("stand_in.py")
PLAN = """\
config\t{digest}
heartbeat\t{heartbeat}
jitter\t0
pressure\t80\t20\t60
pause_limit\t1800
upload\t{upload}
"""
WAIT_S = 15.0


class Daemon:
    """One supervisor: its plan, its folders, and what it started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan = folder / "plan"
        self.files = folder / "files"
        self.errors = folder / "stderr"
        for name in ("run", "cache", "state", "state/outbox", "files", "pressure"):
            (folder / name).mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    def write_plan(self, *lines: str, digest: str = "0a", heartbeat: int = 3600, upload: int = 0) -> None:
        """Write a plan; without lines it has one table, and a watch on FILES/passwd."""
        usual = ("table\tusers\t3600\t1\tfile", f"watch\t{self.files}/passwd\tusers")
        text = PLAN.format(digest=digest * 32, heartbeat=heartbeat, upload=upload)
        self.plan.write_text(text + "".join(f"{line}\n" for line in lines or usual))

    def script(self, command: str, text: str) -> None:
        """Have a part do this before it answers."""
        (self.folder / command).write_text(text)

    def start(self, *more: str, hurry: bool = True) -> None:
        """Start it; in a hurry, a signal makes it begin at once with what it would begin in two seconds."""
        if not self.plan.exists():
            self.write_plan()
        words = [PYTHON, "-I", "-S", str(program.__file__), "--run", f"{self.folder}/run", "--cache"]
        words += [f"{self.folder}/cache", "--state", f"{self.folder}/state", "--outbox", f"{self.folder}/state/outbox"]
        words += ["--pressure", f"{self.folder}/pressure", "--plan", str(self.plan)]
        words += [*more, "--", PYTHON, "-I", "-S", str(STAND_IN), str(self.folder)]
        with self.errors.open("ab") as errors:
            self._process = subprocess.Popen(words, stderr=errors, stdin=subprocess.DEVNULL)
        if hurry:
            until(lambda: self.is_up() or self.process.poll() is not None)
            self.signal(signal.SIGUSR1)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def signal(self, number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)

    def journal(self, command: str = "_collect") -> list[dict[str, Any]]:
        """Return what was started so far."""
        try:
            lines = (self.folder / "journal").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [each for each in map(json.loads, lines) if each["command"] == command]

    def runs(self, *words: str) -> list[dict[str, Any]]:
        """Return the runs so far whose words have all of these in them."""
        said = [(each, each["words"][2:]) for each in self.journal()]  # after --state FOLDER
        return [each for each, own in said if all(any(word in one for one in own) for word in words)]

    def wait_for(self, count: int, *words: str) -> dict[str, Any]:
        """Wait for so many runs with these words, and return the last."""
        until(lambda: len(self.runs(*words)) >= count)
        return self.runs(*words)[count - 1]

    def status(self) -> Supervision:
        """Return what it says of itself."""
        said = parse((self.folder / "run/status").read_text(), time.clock_gettime(time.CLOCK_BOOTTIME))
        assert said is not None
        return said

    def is_up(self) -> bool:
        """Return whether it is this one that says how it is, and none before it."""
        try:
            return self.status().pid == self.process.pid
        except FileNotFoundError:
            return False

    def said(self) -> str:
        """Return what it said to people."""
        return self.errors.read_text()

    def touch(self, name: str = "passwd") -> float:
        """Change a watched file, and return when."""
        (self.files / name).write_text(str(time.monotonic()))
        return time.monotonic()


def until(holds: Callable[[], bool], seconds: float = WAIT_S) -> None:
    """Wait for something that happens in another process."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    yield daemon
    if daemon._process is not None and daemon.process.poll() is None:
        daemon.process.kill()
        daemon.process.wait()
    for each in (line["pid"] for name in ("_collect", "_sign", "_upload") for line in daemon.journal(name)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
