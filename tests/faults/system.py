"""The whole of it as it runs on a host: the daemon with its parts, a wire that can be cut, and a service manager.

The supervisor, the signer and the uploader are the real program; only the plan is shorter than the shortest interval
that a configuration may name. What systemd does for the service (`Restart=always`) a `Manager` does here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.places import Places, places
from agent.signing.door import open_door
from agent.supervision import Supervision, parse
from evidence.errors import EvidenceError
from evidence.log import Entry
from tests.hub.running import ROOT

WITHIN_S = 30.0
"""O2: everything runs again by itself within this."""
DIGEST = "0a" * 32
PROGRAM = (sys.executable, "-m", "agent")


def until(true: Callable[[], object], seconds: float = WITHIN_S, what: str = "it") -> None:
    """Wait for something that happens in other processes."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"expected {what} within {seconds:g} s")
        time.sleep(0.05)


@dataclass
class System:
    """One host: its folder, its daemon, and what was promised to whoever asked."""

    folder: Path
    before: Sequence[str] = ()
    """Words in front of the program, such as strace(1) with a fault."""
    environment: Mapping[str, str] = field(default_factory=dict)
    state: Path = Path()
    promised: list[tuple[str, int, str]] = field(default_factory=list)
    """Origin, sequence and leaf of each entry of which somebody was told that it is signed."""

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        if self.state == Path():
            self.state = self.folder / "state"
        self.config.touch(0o600)
        self.plan()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def watched(self) -> Path:
        """Return a file whose change makes a table due."""
        return self.folder / "watched"

    @property
    def places(self) -> Places:
        return places(str(self.state))

    @property
    def errors(self) -> Path:
        """Return where all parts say what they have to say."""
        return self.folder / "stderr"

    def plan(self, *lines: str, digest: str = DIGEST) -> None:
        """Write a plan; without lines two small tables are read every few seconds."""
        usual = ("table\tusers\t3\t1\tfile", "table\tgroups\t5\t1\tfile")
        watch = f"watch\t{self.watched}\tusers"
        head = f"config\t{digest}\nheartbeat\t3600\njitter\t0\npressure\t0\t0\t0\npause_limit\t0\nupload\t1\n"
        new = self.folder / "plan.new"
        new.write_text(head + "".join(f"{line}\n" for line in (*(lines or usual), watch)))
        new.rename(self.folder / "plan")

    def sink(self, kind: str, **settings: str) -> None:
        """Configure one more sink."""
        lines = ["", "[[sinks]]", f'type = "{kind}"', *(f'{name} = "{value}"' for name, value in settings.items())]
        self.config.write_text(self.config.read_text() + "\n".join(lines) + "\n")

    # The daemon

    def start(self, *, planned: bool = True) -> System:
        """Start it; `planned`: by the test's plan, else by the configuration."""
        words = [*self.before, *PROGRAM, "run", "--state", str(self.state), "--config", str(self.config)]
        words += ["--plan", str(self.folder / "plan")] if planned else []
        with self.errors.open("ab") as errors:
            self._process = subprocess.Popen(
                words, cwd=ROOT, env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL, stderr=errors
            )
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> int:
        """End it as a service manager does, and return its exit code."""
        self.signal("supervisor", signal.SIGTERM)
        return self.process.wait(WITHIN_S)

    def kill_all(self) -> None:
        """End everything at once, as a power cut would."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.kill()
            self._process.wait(WITHIN_S)

    def pids(self, part: str | None = None) -> list[int]:
        """Return the processes of this host, or those of one part: supervisor, _sign, _upload, _collect."""
        if part == "supervisor":
            return [self.process.pid] if self.runs else []
        found = []
        for each in Path("/proc").iterdir():
            if each.name.isdigit():
                with contextlib.suppress(OSError):
                    words = (each / "cmdline").read_bytes().decode().split("\0")
                    if str(self.state) in words and part in (None, *words):
                        found.append(int(each.name))
        return found

    def rest(self) -> None:
        """Have the tables read once an hour from now on, or when something changes."""
        self.plan("table\tusers\t3600\t1\tfile", "table\tgroups\t3600\t1\tfile", digest="0b" * 32)
        until(lambda: self.is_up, what="the supervisor")
        self.signal("supervisor", signal.SIGHUP)

    def change(self) -> None:
        """Change what is watched: it is read, signed, written into a batch and delivered within seconds."""
        self.watched.write_text(str(time.monotonic()))

    def signal(self, part: str, number: int) -> list[int]:
        """Send a signal to each process of a part, and return which those were."""
        found = self.pids(part)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return found

    def status(self) -> Supervision:
        """Return what the supervisor says of itself, which is nothing before it has begun."""
        try:
            said = parse(Path(self.places.status).read_text(), time.clock_gettime(time.CLOCK_BOOTTIME))
        except FileNotFoundError:
            said = None
        return Supervision() if said is None else said

    @property
    def is_up(self) -> bool:
        """Return whether this very supervisor has begun its work; until then a command signs for itself."""
        return self.runs and self.status().pid == self.process.pid

    # What is asked of it

    def record(self, wait_s: float = 5) -> Entry | None:
        """Have a backup recorded, and remember what was promised; None if that was refused or nobody knows."""
        try:
            with open_door(self.places, wait_s, str(self.config)) as door:
                entry = door.record("backup-run", {"job": "nightly", "result": "ok"})
        except EvidenceError:
            return None
        self.promised.append((entry.origin, entry.sequence, entry.leaf_hash.hex()))
        return entry

    def recorded(self, within_s: float = WITHIN_S) -> Entry:
        """Have a backup recorded as soon as that works."""
        deadline = time.monotonic() + within_s
        until(lambda: self.is_up, within_s, "the supervisor")
        while True:
            entry = self.record(max(0.1, min(5, deadline - time.monotonic())))
            if entry is not None:
                return entry
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a command."""
        line = [*PROGRAM, *words, "--state", str(self.state)]
        return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    def said(self) -> str:
        return self.errors.read_text("utf-8", "replace")


@contextlib.contextmanager
def running(system: System, *, planned: bool = True) -> Iterator[System]:
    """Give a daemon that signs; nothing of it is left in the end."""
    system.start(planned=planned)
    try:
        system.recorded()
        yield system
    finally:
        system.kill_all()


class Manager(contextlib.AbstractContextManager[None]):
    """Starts again what ended, after a second, as systemd would with `Restart=always` and `RestartSec=1`."""

    def __init__(self, *services: tuple[Callable[[], bool], Callable[[], object]]) -> None:
        self._services = services
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._ended.wait(1):
            for runs, start in self._services:
                if not runs():
                    start()


class Wire:
    """The way to a server: it can be cut, by refusing or by silence, and mended."""

    def __init__(self, to: int) -> None:
        self.to = to
        self.silent = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._cut = False
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self, *, silent: bool = False) -> None:
        """Break all connections; from now on new ones break, too, or are met with silence."""
        self._cut, self.silent = True, silent
        for each in list(self._open):
            _shut(each)

    def mend(self) -> None:
        self._cut = self.silent = False
        for each in list(self._open):
            _shut(each)

    def close(self) -> None:
        self.cut()
        _shut(self._listener)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(near)
            if self._cut:
                if self.silent:
                    threading.Thread(target=self._swallow, args=(near,), daemon=True).start()
                else:
                    self._end(near)
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.to), 5)
            except OSError:
                self._end(near)
                continue
            self._open.add(far)
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        self._end(source)
        self._end(target)

    def _swallow(self, one: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while one.recv(65536):
                pass
        self._end(one)

    def _end(self, one: socket.socket) -> None:
        self._open.discard(one)
        _shut(one)
        one.close()


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
