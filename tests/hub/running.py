"""A hub as its operator runs it: its own process, its folder, its ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evidence.note import Verifier
from tests.hub.agents import Agent, BatchFile

ROOT = Path(__file__).parents[2]
NAME = "hub.example"
TOKEN = "a-token-for-tests-0123456789"
_START_S = 20


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def kind(self) -> str:
        """Return the kind of a problem."""
        assert self.headers["Content-Type"] == "application/problem+json"
        return str(self.json["type"]).rpartition(":")[2]


class RunningHub:
    """A hub in a process of its own; it may be killed and started again on the same folder."""

    def __init__(self, data: Path, *options: str, name: str = NAME, program: Sequence[str] = ("-m", "hub")) -> None:
        self.data = data
        self._program = program
        self._options = options
        self._name = name
        self._tokens = data.parent / f"{data.name}.tokens"
        self._log = data.parent / f"{data.name}.log"
        if not self._tokens.exists():
            self._tokens.touch(0o600)
            self._tokens.write_text(f"# of tests\n{TOKEN}\n", "ascii")
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> RunningHub:
        command = [sys.executable, *self._program, "serve", "--data", str(self.data), "--name", self._name]
        command += ["--listen", f"127.0.0.1:{self.port}", "--token-file", str(self._tokens), "--reserve", "0"]
        with self._log.open("ab") as log:
            begun = self._log.stat().st_size
            self._process = subprocess.Popen([*command, *self._options], cwd=ROOT, stderr=log, stdout=log)
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            said = self._log.read_bytes()[begun:].decode()
            if " serves as " in said:
                self.port = int(said.partition(" serves as ")[0].rpartition(":")[2])
                return self
            time.sleep(0.02)
        self.kill()
        raise AssertionError(self._log.read_text())

    def stop(self) -> int:
        """End it as systemd does and return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end and return its exit code."""
        assert self._process is not None
        return self._process.wait(30)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)

    def log_lines(self) -> list[dict[str, Any]]:
        lines = self._log.read_text("utf-8").split("\n")
        return [json.loads(line) for line in lines if line.startswith("{")]

    def line(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the newest line of the access log that is wanted; it is written when the answer is out."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            found = [each for each in self.log_lines() if wanted(each)]
            if found:
                return found[-1]
            time.sleep(0.01)
        raise AssertionError(self.log_text())

    def log_text(self) -> str:
        return self._log.read_text("utf-8")

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Make one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            found = connection.getresponse()
            return Answer(found.status, found.headers, found.read())
        finally:
            connection.close()

    def raw(self, data: bytes, *, wait_s: float = 10) -> bytes:
        """Send bytes as they are and return what comes back until the hub closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait_s) as connection:
            connection.sendall(data)
            parts = []
            try:
                while part := connection.recv(65536):
                    parts.append(part)
            except (ConnectionResetError, TimeoutError):
                pass
        return b"".join(parts)

    # -- what an agent does

    def describe(self) -> dict[str, Any]:
        return self.ask("GET", "/v1/hub").json

    def verifiers(self) -> tuple[Verifier, Verifier]:
        """Return what acknowledgements, and what witness lines are checked with."""
        about = self.describe()
        return Verifier.parse(about["vkey"]), Verifier.parse(about["witness_vkey"])

    def enrol(self, agent: Agent, token: str = TOKEN, **changes: Any) -> Answer:
        body = agent.enrolment(self._name, self.describe()["nonce"])
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return self.ask("POST", "/v1/enrolments", json.dumps({**body, **changes}).encode(), headers)

    def send(self, batch: BatchFile, **changes: str) -> Answer:
        """Send a batch in one request."""
        return self.ask("POST", "/v1/batches", batch.data, batch.headers(complete=True, **changes))

    def begin(self, batch: BatchFile, **changes: str) -> Answer:
        return self.ask("POST", "/v1/batches", b"", batch.headers(complete=False, **changes))

    def piece(self, location: str, offset: int, data: bytes, *, last: bool, **changes: str) -> Answer:
        headers = {
            "Content-Type": "application/partial-upload",
            "Upload-Offset": f"{offset}",
            "Upload-Complete": "?1" if last else "?0",
            **changes,
        }
        return self.ask("PATCH", location, data, headers)


def descriptors(pid: int) -> int:
    """Return how many files a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))
