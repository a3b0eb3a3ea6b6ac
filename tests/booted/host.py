"""A booted host: a root tree with its own systemd as PID 1, in which a test runs commands as root.

`boot-host` boots the tree over a throw-away overlay; the command it runs there is a server that takes one question a
line and answers with one, so that a test can ask as often as it likes and act on what it hears.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BOOT_HOST = Path(__file__).with_name("boot-host")
BOOTS = 3
"""How often one host may be booted."""

SERVER = Path(__file__).with_name("command_server.py")
SEEN_AT = "/usr/local/lib/evidenced-tests"
"""Where the host sees this folder: the server, and the programs that tests run there."""


class HostError(Exception):
    """The host did not boot, or did not answer."""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


class BootedHost:
    """Asks the server in the booted host."""

    def __init__(self, process: subprocess.Popen[bytes], console: Path) -> None:
        self._process = process
        self._console = console

    def run(self, *argv: str, given: str = "", timeout_s: float = 60) -> Done:
        """Run a program in the host, as root, and return how it ended."""
        answer = self._ask({"argv": argv, "input": given, "timeout": timeout_s}, timeout_s + 10)
        return Done(**answer)

    def ok(self, *argv: str, given: str = "", timeout_s: float = 60) -> str:
        """Run a program that must succeed and return what it printed."""
        done = self.run(*argv, given=given, timeout_s=timeout_s)
        assert done.code == 0, f"{' '.join(argv)[:200]}: exit {done.code}\n{done.out[-2000:]}\n{done.err[-4000:]}"
        return done.out

    def python(self, source: str, *arguments: str, timeout_s: float = 60) -> str:
        """Run a Python program in the host and return what it printed."""
        return self.ok("/usr/bin/python3", "-I", "-c", source, *arguments, timeout_s=timeout_s)

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        """Write a file in the host, and what folders it needs."""
        self.ok("/usr/bin/install", "-D", "-m", mode, "/dev/stdin", path, given=text)

    def until(self, true: Callable[[], bool], within_s: float, what: str) -> float:
        """Wait until something is so and return how many seconds it took; the journal tells why if it never is."""
        began = time.monotonic()
        while not true():
            if time.monotonic() - began > within_s:
                raise AssertionError(f"expected {what} within {within_s:g} s, found that it is not\n{self.journal()}")
            time.sleep(0.1)
        return time.monotonic() - began

    def journal(self, lines: int = 60) -> str:
        """Return the end of the host's journal."""
        return self.run("journalctl", "--no-pager", "-o", "short-precise", "-n", str(lines)).out

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.ok("systemctl", "show", "--value", "-p", name, unit).strip()

    def entries(self) -> list[dict[str, Any]]:
        """Return all entries of the service's newest log, as `evidenced log --json` lists them."""
        listed = self.run("evidenced", "log", "--json", "--last", "0")
        return [json.loads(line) for line in listed.out.splitlines()]

    def kinds(self) -> list[str]:
        """Return the kinds of all entries, in their order."""
        return [each["kind"] for each in self.entries()]

    def snapshots(self) -> list[int]:
        """Return the numbers of the entries that are snapshots."""
        return [each["sequence"] for each in self.entries() if each["kind"] == "snapshot"]

    def tables_read(self, since: int = 0) -> set[str]:
        """Return the tables in the snapshots from an entry on."""
        numbers = [number for number in self.snapshots() if number >= since]
        return {each["name"] for number in numbers for each in self.statement(number)["predicate"]["tables"]}

    def statement(self, number: int) -> dict[str, Any]:
        """Return the statement of an entry as it was signed."""
        found: dict[str, Any] = json.loads(self.ok("evidenced", "log", "show", str(number), "--json"))
        return found

    def reboot(self) -> None:
        """Reboot the host and wait until it is up again."""
        self._send({"exit": 0})
        self._answer(120)

    def _ask(self, question: dict[str, Any], within_s: float) -> dict[str, Any]:
        self._send(question)
        return self._answer(within_s)

    def _send(self, question: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        line = memoryview(json.dumps(question).encode() + b"\n")
        while line:
            line = line[os.write(self._process.stdin.fileno(), line) :]

    def _answer(self, within_s: float) -> dict[str, Any]:
        """Return the next line of the server; an answer of megabytes comes in pieces."""
        assert self._process.stdout is not None
        deadline, line = time.monotonic() + within_s, b""
        while not line.endswith(b"\n"):
            if not select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise HostError(f"expected an answer within {within_s:g} s, found none\n{self._said()}")
            piece = os.read(self._process.stdout.fileno(), 1 << 20)
            if not piece:
                raise HostError(f"expected an answer, found that the host is gone\n{self._said()}")
            line += piece
        found: dict[str, Any] = json.loads(line)
        return found

    def _said(self) -> str:
        with contextlib.suppress(OSError):
            return self._console.read_text("utf-8", "replace")[-4000:]
        return ""


@contextlib.contextmanager
def booted(
    tree: Path, folder: Path, *, name: str = "host-under-test", binds: Sequence[str] = ()
) -> Iterator[BootedHost]:
    """Give a host booted from a tree; `binds` are SOURCE:TARGET[:ro] of folders that it sees."""
    console = folder / "boot-host.log"
    server = ["/usr/bin/python3", "-Iu", f"{SEEN_AT}/{SERVER.name}"]
    binds = [f"{SERVER.parent}:{SEEN_AT}:ro", *binds]
    command = [str(BOOT_HOST), "-H", name, *(f"-b{each}" for each in binds), str(tree), *server]
    for _ in range(BOOTS - 1):
        command += [":reboot:", *server]
    with console.open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0)
    host = BootedHost(process, console)
    with process:
        try:
            host._answer(90)
            yield host
        finally:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()  # the server leaves, and boot-host takes the host down
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.terminate()  # it tears the host down on SIGTERM, too
