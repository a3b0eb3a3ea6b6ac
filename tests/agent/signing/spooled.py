"""A state with an outbox, for tests: what is signed, what stands in the folder, and what a hub answers."""

from __future__ import annotations

import os

from agent.places import Places
from agent.signing import progress as progress_file
from agent.signing.clerk import Clerk
from agent.signing.desk import Desk
from agent.signing.outbox import Outbox
from agent.signing.policy import Policy, SinkPolicy
from agent.signing.protocol import Question, Signed, Snapshot
from evidence import note
from evidence.batch_form import place_of
from evidence.keys import NOTE_COSIGNATURE, PrivateKey
from evidence.reader import StoreReader
from tests.agent.signing.running import collection

HUB = PrivateKey(b"h" * 32)
VKEY = HUB.public.vkey("hub.example", NOTE_COSIGNATURE)
DIRECTORY = Policy({"stick": SinkPolicy("directory")})
BOTH = Policy({"stick": SinkPolicy("directory"), "hub": SinkPolicy("hub", VKEY)})


class Made:
    """A state with an outbox, and time that stands still."""

    def __init__(self, where: Places, policy: Policy) -> None:
        self.where = where
        self.wall = 1_800_000_000.0
        self.policy = policy
        self.clerk = Clerk(where.state, 1)
        self.outbox = self.again()

    def again(self) -> Outbox:
        """Return the outbox as another process finds it."""
        self.outbox = Outbox(self.where.outbox, self.clerk, lambda: self.policy, wall=lambda: self.wall)
        return self.outbox

    def ask(self, question: Question, rows: int = 1) -> Signed:
        collections = [collection(rows)] if isinstance(question, Snapshot) else []
        answer = Desk(self.clerk, self.outbox).answer(question, collections, 0)
        assert isinstance(answer, Signed)
        return answer

    def snapshots(self, *rows: int) -> None:
        for count in rows:
            self.ask(Snapshot(tables=("users",), promise={}, reason="scheduled", privileged=True, labels={}), count)

    @property
    def names(self) -> list[str]:
        return sorted(os.listdir(self.where.outbox)) if os.path.isdir(self.where.outbox) else []

    @property
    def spans(self) -> list[tuple[int, int]]:
        return [(found.first, found.size) for found in map(place_of, self.names) if found is not None]

    def kept(self) -> progress_file.Progress:
        return progress_file.load(self.where.state)

    def cosigned(self, key: PrivateKey = HUB, name: str = "hub.example", at: int = 1_800_000_000) -> bytes:
        """Return the note that a hub answers with."""
        with StoreReader(self.where.state) as reader:
            log = reader.logs()[-1]
            found = note.parse(reader.checkpoint(log.id))
        return found.with_line(note.cosign(found.text, name, key, at)).encode()


def sha_of(made: Made, name: str) -> str:
    return made.kept().batches[name].sha256
