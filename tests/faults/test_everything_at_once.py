"""Faults of all kinds in a random order, the same each time, while the host is read, signed and delivered.

At the end nothing is lost and nobody has lifted a finger: O1, O2 and O3.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.oracles import assert_bounded, assert_delivered, assert_kept, assert_runs_again, assert_verifies
from tests.faults.system import Manager, System, Wire
from tests.hub.running import RunningHub

SEED = int(os.environ.get("FAULTS_SEED", "20260101"))
SECONDS = float(os.environ.get("FAULTS_SECONDS", "45"))
BACKED_OFF_S = 300.0
"""After many failures the next attempt may be minutes away; a good one sets that back to a second."""
PARTS = ("supervisor", "_sign", "_upload", "_collect")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk that can be filled."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", place], check=False)
    if made.returncode != 0:
        pytest.skip("needs the right to mount this file system")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


class Faults:
    """All that befalls the system, each undone by itself after a while."""

    def __init__(self, system: System, hub: RunningHub, wire: Wire, dice: random.Random) -> None:
        self.system = system
        self.hub = hub
        self.wire = wire
        self.dice = dice
        self.backup = hub.data.with_name("hub-backup")
        self.hub_wanted = True
        self.counts: dict[str, int] = {}
        self.all: dict[str, Callable[[], object]] = {
            **{f"kill {part}": (lambda part=part: self._kill(part)) for part in PARTS},  # type: ignore[misc]
            **{f"stop {part}": (lambda part=part: self._freeze(part)) for part in PARTS},  # type: ignore[misc]
            "kill hub": self._kill_hub,
            "restore hub": self._restore_hub,
            "cut": lambda: self._cut(silent=False),
            "silence": lambda: self._cut(silent=True),
            "full": self._fill,
            "everything": self._everything,
        }

    def one(self) -> str:
        """Let one thing happen; each happens before any happens again."""
        least = min(self.counts.get(name, 0) for name in self.all)
        name = self.dice.choice([each for each in self.all if self.counts.get(each, 0) == least])
        self.counts[name] = least + 1
        self.all[name]()
        return name

    def _pause(self, low: float, high: float) -> None:
        time.sleep(self.dice.uniform(low, high))

    def _kill(self, part: str) -> None:
        self.system.signal(part, signal.SIGKILL)

    def _freeze(self, part: str) -> None:
        stopped = self.system.signal(part, signal.SIGSTOP)
        self._pause(0.5, 2.5)
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _kill_hub(self) -> None:
        self.hub.kill()
        self._pause(0.1, 2)
        self.hub.start()

    def _restore_hub(self) -> None:
        """Put the hub back to what it was when this was done last."""
        self.hub.kill()
        if self.backup.exists():
            before = self.hub.data.with_name("hub-lost")
            shutil.rmtree(before, ignore_errors=True)
            self.hub.data.rename(before)
            shutil.copytree(self.backup, self.hub.data)
        else:
            shutil.copytree(self.hub.data, self.backup)
        self.hub.start()

    def _cut(self, *, silent: bool) -> None:
        self.wire.cut(silent=silent)
        self._pause(0.5, 3)
        self.wire.mend()

    def _fill(self) -> None:
        filler = self.system.state.parent / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        self._pause(1, 4)
        filler.unlink()

    def _everything(self) -> None:
        """Cut the power of host and hub at once."""
        self.hub.kill()
        self.system.kill_all()
        self.hub.start()


@pytest.mark.slow
@pytest.mark.needs_root
def test_faults_in_any_order_lose_nothing_and_need_nobody(
    connected: System, hub: RunningHub, wire: Wire, small_disk: Path, tmp_path: Path
) -> None:
    system = connected
    system.state = small_disk / "state"
    faults = Faults(system, hub, wire, random.Random(SEED))  # noqa: S311  the same dice each time
    happened: list[str] = []
    ends = time.monotonic() + SECONDS
    with Manager((lambda: system.runs, system.start)):
        system.recorded()
        faults._restore_hub()  # the backup, of a hub that knows the log already or does not yet
        while time.monotonic() < ends:
            system.record(wait_s=1)
            happened.append(faults.one())
            faults._pause(0, 1)
        print(f"seed {SEED}: {len(happened)} faults, {len(system.promised)} promises: {', '.join(happened)}")  # noqa: T201  shown when it fails
        system.recorded()  # O2: within 30 s
        assert_delivered(system, hub, BACKED_OFF_S)
    assert_kept(system)
    assert_runs_again(system)
    assert_delivered(system, hub)
    assert_bounded(system)
    assert len(system.promised) >= len(happened) / 3
    assert_verifies(system, tmp_path / "pack.tar.gz", codes=(0, 3))  # tables are due every few seconds here
