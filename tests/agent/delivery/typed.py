"""A host whose commands are typed, and what a real hub has of it."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from agent.observing import Target, now, observation
from agent.places import places
from agent.signing.door import open_door
from evidence.log import EvidenceStore
from evidence.reader import StoreReader
from hub import log_state
from hub.database import Database
from tests.agent.command_line import Evidenced, Ran
from tests.evidence.store_parts import SEEN, table
from tests.hub.running import ROOT, TOKEN, RunningHub

DICE = random.Random(7)  # noqa: S311  the same dice each time


@dataclass
class Agent:
    """A host whose commands are typed."""

    folder: Path
    evidenced: Evidenced
    rows: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.config.touch(0o600)
        self.token.touch(0o600)
        self.token.write_text(TOKEN)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def config(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def token(self) -> Path:
        return self.folder / "token"

    def run(self, *words: str) -> Ran:
        return self.evidenced(*words, "--state", self.state, "--config", self.config)

    def enroll(self, url: str, *more: str) -> Ran:
        return self.run("enroll", "--hub", url, "--token-file", str(self.token), *more)

    def sink(self, url: str, vkey: str, *more: str) -> None:
        """Configure the hub by hand."""
        lines = ["[[sinks]]", 'name = "hub"', 'type = "hub"', f'url = "{url}"', f'vkey = "{vkey}"', *more]
        self.config.write_text("\n".join(lines) + "\n")

    def upload(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "agent", "_upload", "--state", str(self.state), "--config", str(self.config)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def sign(self, count: int = 1, rows: int = 1) -> None:
        with StoreReader(str(self.state)) as reader:
            secret = reader.secret() or b""
        machine = observation(Target("/", secret), {}).machine
        with EvidenceStore.open(str(self.state), machine=machine, clock=now) as store:
            for _ in range(count):
                self.rows += 1
                lines = [
                    b'{"name":"%d-%d-%s"}' % (self.rows, at, DICE.randbytes(24).hex().encode()) for at in range(rows)
                ]
                store.append_snapshot([table("users", *lines)], SEEN)

    def leaves(self) -> dict[str, bytes]:
        with StoreReader(str(self.state)) as reader:
            return {each.id: reader.leaves(each.id) for each in reader.logs()}


def leaves_at(hub: RunningHub) -> dict[str, bytes]:
    """Return the leaves of each log that the hub has, asked of its own database."""
    database = Database(str(hub.data / "hub.sqlite"))
    try:
        ids = [row["id"] for row in database.reading.execute("SELECT id FROM logs")]
        found = {}
        for log_id in ids:
            state = log_state.load(database, log_id)
            assert state is not None
            found[log_id] = log_state.leaves(database, log_id, 0, state.size)
        return found
    finally:
        database.close()


def has(hub: RunningHub, agent: Agent) -> bool:
    """Return whether a hub has every leaf of a host, in its place, and no other."""
    there, wanted = leaves_at(hub), agent.leaves()
    return {log_id: there.get(log_id) for log_id in wanted} == wanted


def url_of(hub: RunningHub) -> str:
    return f"http://127.0.0.1:{hub.port}"


def assert_nothing_lost(agent: Agent, hub: RunningHub) -> None:
    assert has(hub, agent)
    assert list((agent.state / "outbox").iterdir()) == []


def with_batches(agent: Agent) -> None:
    """Have everything written into batches, and deliver nothing."""
    with open_door(places(str(agent.state)), config=str(agent.config)) as door:
        while door.batches():
            pass
