"""What the signer does with a whole request: answer it, whatever goes wrong with the state, and fill the outbox."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import cached_property

from agent.clocks import synchronised
from agent.signing import protocol
from agent.signing.clerk import Clerk
from agent.signing.desk import Desk, told
from agent.signing.in_force import InForce
from agent.signing.outbox import COALESCE_S, Outbox
from agent.signing.protocol import Answer, Failed, Question, Signed
from agent.signing.retention import Retention
from agent.signing.server import IDLE_EXIT_S
from agent.signing.session import Request, failure
from collectors.catalogue import all_tables
from collectors.contract import Table
from evidence.errors import EvidenceError
from program.text import printable

GIVE_BACK_S = 2.0
"""After the last request the state is kept open for so long: often another one follows."""
RETRY_S = 60.0
"""After the outbox could not be written, such as on a full disk."""
LINE_LIMIT = 1000
HEARTBEAT = "heartbeat"
CONFIGURED = {"agent-started": "config", "config-changed": "digest"}
"""Events that say which configuration is in force, and which of their keys does."""


class Service:
    """One state, served."""

    def __init__(
        self,
        clerk: Clerk,
        outbox: Outbox,
        *,
        in_force: InForce | None = None,
        disciplined: Callable[[], bool | None] = synchronised,
    ) -> None:
        """Without `in_force` the files count, whatever is signed."""
        self._clerk = clerk
        self._outbox = outbox
        self._in_force = in_force
        self._desk = Desk(clerk, outbox) if in_force is None else Desk(clerk, outbox, in_force.settings)
        self._retention = Retention(clerk, outbox, disciplined=disciplined)
        self._looks = False
        self._due: float | None = None
        self._acted = 0.0

    @cached_property
    def _all_tables(self) -> dict[str, Table]:
        return {each.name: each for each in all_tables()}

    def tables(self) -> dict[str, Table]:
        """Return the tables of this version by name; collectors are imported when the first snapshot comes."""
        return self._all_tables

    def act(self, request: Request, uid: int) -> Answer:
        """Do what a user asks and return the answer, which is an error where it could not be done."""
        answer: Answer
        settings = self._settings_of(request.question)
        try:
            answer = self._desk.answer(request.question, request.collections, uid)
        except EvidenceError as error:
            answer = failure(error)
        except OSError as error:
            found = (error.strerror or type(error).__name__).lower()
            answer = Failed(kind="StateError", where=self._clerk.state, expected="a state", found=found, step="")
        if isinstance(answer, Signed):
            self._signed(request.question, settings)
        self._acted = time.monotonic()
        return told(answer, self._clerk)

    def pause(self, now: float) -> float | None:
        """Do one thing that is due, and return when there is more to do; None: not before somebody asks."""
        if self._looks:
            self._looks = False
            try:
                self._retention.keep()
            except (EvidenceError, OSError) as error:
                _tell(error)
        if self._due is not None and now >= self._due:
            self._due = self._written(now)
        if self._due is not None and self._due - now <= IDLE_EXIT_S:
            return self._due
        return self._given_back(now)

    def _given_back(self, now: float) -> float | None:
        """Give the state back once nobody has asked for a moment, and return when that is: others write to it, too."""
        if not self._clerk.busy:
            return None
        if now < self._acted + GIVE_BACK_S:
            return self._acted + GIVE_BACK_S
        self._clerk.close()
        return None

    def finish(self) -> None:
        """Write what would have been written in a moment."""
        now = time.monotonic()
        if self._due is not None and self._due - now <= COALESCE_S:
            self._written(now)

    def _settings_of(self, question: Question) -> bytes | None:
        """Return the settings that an event says are in force from now on, before it is signed."""
        if self._in_force is None or not isinstance(question, protocol.Event) or question.kind not in CONFIGURED:
            return None
        try:
            return self._in_force.read(question.fields.get(CONFIGURED[question.kind]))
        except OSError as error:
            _tell(error)
            return None

    def _signed(self, question: Question, settings: bytes | None) -> None:
        """Follow up what was signed, which nothing that goes wrong here undoes."""
        if isinstance(question, protocol.Event) and question.kind in CONFIGURED:
            self._configured(settings)
        try:
            self._put_off(question)
        except (EvidenceError, OSError) as error:  # no outbox to look at: that must keep nobody from his answer
            _tell(error)
            self._due = time.monotonic() + RETRY_S

    def _put_off(self, question: Question) -> None:
        """Put off the outbox: a moment for what people wait for, longer for what the schedule brings."""
        scheduled = isinstance(question, protocol.Snapshot) and question.reason == "scheduled"
        self._looks = scheduled and self._retention.is_due()
        if not self._outbox.policy.sinks:
            return
        alive = isinstance(question, protocol.Event) and question.kind == HEARTBEAT
        due = time.monotonic() + self._outbox.wait_s(urgent=not (scheduled or alive))
        self._due = due if self._due is None else min(self._due, due)

    def _configured(self, settings: bytes | None) -> None:
        """Work by the configuration that was just signed."""
        try:
            if self._in_force is not None and settings is not None:
                self._in_force.keep(settings)
        except (EvidenceError, OSError) as error:
            _tell(error)
        self._outbox.reload()

    def _written(self, now: float) -> float | None:
        """Write one batch, and return when to write the next: at once while there are more."""
        try:
            return now if self._outbox.write(most=1) and self._outbox.left() else None
        except (EvidenceError, OSError) as error:
            _tell(error)
            return now + RETRY_S


def _tell(error: Exception) -> None:
    """Tell the journal what went wrong with something that nobody waits for."""
    text = str(error)
    if isinstance(error, OSError):
        text = (error.strerror or type(error).__name__).lower()
        text = f"{os.fsdecode(error.filename)}: {text}" if error.filename else f"state or outbox: {text}"
    sys.stderr.write(f"evidenced _sign: {printable(text, LINE_LIMIT)}\n")
