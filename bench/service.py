"""`evidenced run` as installed, in folders of its own, watched from outside."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import processes
from bench.apart import apart

START_S = 300
"""For the first reading of everything, on a large and busy machine."""
STOP_S = 60


class Service:
    """The agent without systemd: the parts are child processes. Use it in a `with` block."""

    def __init__(self, program: Sequence[str], folder: Path, configuration: str = "") -> None:
        self.folder = folder
        self.state = folder / "state"
        self.config = folder / "agent.toml"
        self.config.write_text(configuration, "utf-8")
        self._program = [*apart(folder), *program]
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Service:  # noqa: PYI034  typing.Self is 3.11
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self.words("run"), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        process = self._running()
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def words(self, command: str, *more: str) -> list[str]:
        """Return the words that start a command on this agent's folders."""
        return [*self._program, command, *more, "--state", str(self.state), "--config", str(self.config)]

    def ask(self, command: str, *more: str) -> str:
        """Run a command on this agent's folders and return what it prints; one that fails ends the benchmark."""
        done = subprocess.run(self.words(command, *more), capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"bench: evidenced {command}: expected exit 0, found {done.returncode}: {done.stderr}")
        return done.stdout

    @property
    def pid(self) -> int:
        """Return the process id of the supervisor."""
        return self._running().pid

    def log_id(self) -> str:
        """Return the name of the log, empty before there is one."""
        found = sorted(each.name for each in (self.state / "logs").glob("*-*"))
        return found[-1] if found else ""

    def size(self) -> int:
        """Return how many entries are signed: the second line of the checkpoint, C2SP tlog-checkpoint."""
        try:
            return int((self.state / "logs" / self.log_id() / "checkpoint").read_text().split("\n")[1])
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def wait_for(self, what: str, reached: Callable[[], bool], seconds: float = START_S, every: float = 0.1) -> None:
        """Wait until something is so; the benchmark ends if that takes too long."""
        until = time.monotonic() + seconds
        while not reached():
            if self._running().poll() is not None or time.monotonic() > until:
                raise SystemExit(f"bench: evidenced run: expected {what}, found none:\n{self._log.read_text()[-2000:]}")
            time.sleep(every)

    def settle(self) -> None:
        """Wait until what was due at the start is signed, and nothing but the supervisor is left."""
        self.wait_for("a first snapshot", lambda: self.size() > 1)
        self.wait_for("only the supervisor left", lambda: len(processes.tree(self.pid)) == 1)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise SystemExit("bench: evidenced run: expected it to be started, found it was not")
        return self._process
