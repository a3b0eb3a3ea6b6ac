"""A signer as a process of its own, and what tests say to it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.collection.frames import FrameParser, encode
from agent.collection.receiver import Collection
from agent.places import Places, places
from agent.signing.listening import connect
from agent.signing.protocol import KINDS, AnyAnswer, parse_answer
from collectors.access import users
from evidence.log import EvidenceStore
from evidence.reader import StoreReader
from evidence.statement import Cost, Observation

TOP = Path(__file__).parents[3]
WAIT_S = 20.0
SEEN = Observation(
    name="image", labels={}, machine=None, observed="image", version="0", reason="by-hand", privileged=False
)
LIVE = Observation(
    name="wrong",
    labels={"role": "web"},
    machine="0" * 64,
    observed="live",
    version="9",
    reason="scheduled",
    privileged=True,
)


@dataclass
class Running:
    """A signer that was started."""

    process: subprocess.Popen[str]
    places: Places

    @property
    def state(self) -> str:
        return self.places.state

    def end(self) -> tuple[int, str]:
        """Return exit code and stderr, once it ended."""
        _, err = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, err


@contextlib.contextmanager
def signer(state: Path, *options: str, before: Sequence[str] = ()) -> Iterator[Running]:
    """Give a signer that answers; it is killed in the end if it still runs."""
    where = places(str(state))
    command = [*before, sys.executable, "-m", "agent", "_sign", "--state", str(state), "--bind", *options]
    earlier = _made(where.sign_socket)  # of another signer, that may still answer there
    process = subprocess.Popen(command, cwd=TOP, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_for(
            lambda: (_made(where.sign_socket) != earlier and _answers(where.sign_socket)) or process.poll() is not None
        )
        yield Running(process, where)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # strace(1), too, and what it traces
        process.communicate()


def _made(path: str) -> int | None:
    """Return when the socket of a path was bound, in nanoseconds; None if there is none."""
    with contextlib.suppress(OSError):
        return os.stat(path).st_ctime_ns
    return None


def _answers(path: str) -> bool:
    with contextlib.suppress(OSError):
        connect(path, 1).close()
        return True
    return False


def wait_for(true: object, seconds: float = WAIT_S) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise AssertionError("expected it to happen")
        time.sleep(0.01)


def connected(running: Running) -> socket.socket:
    """Return a connection of our own, to say anything over."""
    return connect(running.places.sign_socket, WAIT_S)


def answer_on(connection: socket.socket) -> AnyAnswer | None:
    """Return the answer that comes, None if the connection ends without one."""
    parser = FrameParser(KINDS)
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(1 << 16):
            for _, payload in parser.feed(data):
                return parse_answer(payload)
    return None


def question(text: bytes) -> bytes:
    """Return a request frame of any text."""
    return encode(b"Q", text)


def collection(rows: int = 2) -> Collection:
    """Return a collection of the users table."""
    encode_row = msgspec.json.Encoder(order="sorted").encode
    lines = [
        encode_row(
            users.User(  # noqa: S604  a login shell, as data
                name=f"u{number}",
                line=number,
                uid=number,
                gid=number,
                home="/",
                shell="/bin/sh",
                gecos_present=False,
                interactive=True,
                password_in_passwd="shadowed",
                source="local",
            )
        )
        for number in range(1, rows + 1)
    ]
    cost = Cost(wall_ms=1, cpu_ms=1, peak_kib=1, files=1, bytes=1)
    return Collection(users.TABLE, rows=sorted(lines), coverage="complete", cost=cost)


def entries(state: str | Path) -> list[str]:
    """Return the kinds of all entries of the newest log, each verified in the signed tree."""
    with StoreReader(str(state)) as reader:
        log = reader.logs()[-1]
        reader.leaves(log.id)  # raises unless they give the signed root
        return [getattr(each.statement, "kind", "snapshot") for each in reader.entries(log.id)]


def is_open(state: str | Path) -> bool:
    """Return whether nobody has the state open to write."""
    from agent.observing import now  # noqa: PLC0415

    EvidenceStore.open(os.fspath(state), machine=None, clock=now, wait_s=0).close()
    return True
