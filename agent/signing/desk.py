"""A question and what is done about it: the one code behind the socket and behind a command that writes itself."""

from __future__ import annotations

import contextlib
import pwd
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from agent.collection.receiver import NOTHING, Collection
from agent.observing import sealed
from agent.signing import protocol
from agent.signing.clerk import Clerk
from agent.signing.outbox import Outbox
from agent.signing.progress import ENROLLED
from agent.signing.protocol import Answer, Configured, Done, Listed, LogSize, Proof, Question, Signed, Welcome
from agent.signing.records import moment
from agent.signing.rotations import rotations_of
from agent.version import VERSION
from collectors.catalogue import all_tables
from evidence import strict_base64
from evidence.errors import EvidenceError, FormatError
from evidence.log import Entry
from evidence.order import id_of
from evidence.reader import StoreReader
from evidence.statement import Collected, Observation

_Act = Callable[[Any, Sequence[Collection], int], Answer]


class Desk:
    """Answers questions at an open store."""

    def __init__(self, clerk: Clerk, outbox: Outbox, settings: Callable[[], bytes | None] = lambda: None) -> None:
        """Answer by `settings`, which gives the configuration in force; None: the files count."""
        self._clerk = clerk
        self._settings = settings
        self._outbox = outbox
        self._acts: dict[type[Question], _Act] = {
            protocol.Hello: lambda _question, _collections, _uid: self._welcome(),
            protocol.Snapshot: lambda question, collections, _uid: self._snapshot(question, collections),
            protocol.Event: lambda question, _collections, _uid: self._event(question),
            protocol.Record: lambda question, _collections, uid: self._record(question, uid),
            protocol.Rotate: lambda _question, _collections, _uid: self._signed(clerk.rotate({})),
            protocol.Prune: lambda question, _collections, _uid: self._prune(question),
            protocol.Check: lambda _question, _collections, _uid: Done(count=len(clerk.check({}))),
            protocol.Delivered: lambda question, _collections, _uid: self._delivered(question),
            protocol.Refused: lambda question, _collections, _uid: self._refused(question),
            protocol.Prove: lambda question, _collections, _uid: self._proof(question),
            protocol.Logs: lambda _question, _collections, _uid: self._listed(),
            protocol.Batches: lambda question, _collections, _uid: self._batches(question),
            protocol.Flush: lambda _question, _collections, _uid: Done(count=outbox.write_due()),
            protocol.Settings: lambda _question, _collections, _uid: self._configured(),
        }

    def answer(self, question: Question, collections: Sequence[Collection], uid: int) -> Answer:
        """Return the answer to somebody who may ask. Raises: EvidenceError by what went wrong."""
        return self._acts[type(question)](question, collections, uid)

    def _welcome(self) -> Welcome:
        store = self._clerk.store
        origin, size = self._end_of_log()
        return Welcome(
            secret=store.secret, machine=self._clerk.machine, fingerprint=store.fingerprint, origin=origin, size=size
        )

    def _end_of_log(self) -> tuple[str | None, int]:
        """Return the log that goes on and its size; None where there is none, or where it is lost."""
        with contextlib.suppress(EvidenceError), StoreReader(self._clerk.state) as reader:
            card = reader.key_card()
            if card is not None:
                origin = card.vkey.partition("+")[0]
                return origin, reader.signed_size(id_of(origin)).size
        return None, 0

    def _snapshot(self, question: protocol.Snapshot, collections: Sequence[Collection]) -> Signed:
        image = question.image
        seen = Observation(
            name="" if image is None else image.name,  # of a live host the clerk finds it
            machine=None if image is None else image.machine,
            observed="live" if image is None else "image",
            labels=question.labels,
            version=VERSION,
            reason=question.reason,
            privileged=question.privileged,
        )
        collected = [sealed(each, question.promise.get(each.table.name)) for each in collections]
        collected += disabled_tables(question.disabled)
        return self._signed(self._clerk.snapshot(collected, seen))

    def _event(self, question: protocol.Event) -> Signed:
        absence, labels = question.absence, question.labels
        done = self._signed(self._clerk.event(question.kind, question.fields, question.details, labels, absence))
        if question.kind == ENROLLED:
            self._outbox.enrolled(question.fields["vkey"])
        return done

    def _delivered(self, question: protocol.Delivered) -> Done:
        note = None if question.note is None else question.note.encode()
        return Done(count=self._outbox.delivered(question.sink, question.batch, note, question.sha256))

    def _refused(self, question: protocol.Refused) -> Done:
        proof = None if question.note is None else question.note.encode()
        self._outbox.refused(question.sink, question.batch, question.reason, proof)
        return Done()

    def _proof(self, question: protocol.Prove) -> Proof:
        origin, key, sshsig = self._clerk.prove(question.hub, question.nonce)
        shown = rotations_of(self._clerk.state)
        return Proof(origin=origin, key=strict_base64.encode(key.spki), sshsig=sshsig, rotations=shown)

    def _listed(self) -> Listed:
        with StoreReader(self._clerk.state) as reader:
            logs = reader.logs()[-protocol.MAX_LOGS :]
        return Listed(logs=tuple(LogSize(each.id, each.size) for each in logs))

    def _configured(self) -> Configured:
        text = self._settings()
        return Configured(settings=None if text is None else text.decode())

    def _batches(self, question: protocol.Batches) -> Done:
        if question.log is None:
            return Done(count=self._outbox.write())
        return Done(count=self._outbox.again(question.log, question.first or 0))

    def _record(self, question: protocol.Record, uid: int) -> Signed:
        by = user_words(uid)
        return self._signed(self._clerk.record(question.kind, question.fields, question.note, question.at, by))

    def _prune(self, question: protocol.Prune) -> Done:
        before = moment(question.before)
        if before is None:
            raise FormatError("prune", "a time that there is", "another")
        return Done(count=self._clerk.prune(before, {}))

    def _signed(self, entry: Entry) -> Signed:
        return Signed(
            origin=entry.origin,
            sequence=entry.sequence,
            kind=entry.kind,
            wall=entry.wall,
            leaf=entry.leaf_hash.hex(),
            fingerprint=self._clerk.store.fingerprint,
        )


def disabled_tables(names: Sequence[str]) -> Iterator[Collected]:
    """Yield what a snapshot says of tables that the configuration leaves out. Raises: FormatError."""
    versions = {each.name: each.version for each in all_tables()} if names else {}
    for name in names:
        if name not in versions:
            raise FormatError("snapshot", "disabled tables of this version", "another")
        yield Collected(
            name=name,
            version=versions[name],
            header=None,
            coverage="disabled",
            failure=None,
            rows=b"",
            row_count=0,
            gaps=b"",
            gap_count=0,
            reasons={},
            interval_s=None,
            cost=NOTHING,
        )


def user_words(uid: int) -> dict[str, Any]:
    """Return who that is, for the details of a record."""
    try:
        return {"name": pwd.getpwuid(uid).pw_name, "uid": uid}
    except KeyError:
        return {"name": None, "uid": uid}


def told(answer: Answer, clerk: Clerk) -> Answer:
    """Return an answer with what the store has to say."""
    return msgspec.structs.replace(answer, news=tuple(clerk.news()))
