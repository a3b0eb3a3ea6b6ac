"""What the signer does with a whole request: answer it, whatever goes wrong with the state."""

from __future__ import annotations

from functools import cached_property

from agent.signing.clerk import Clerk
from agent.signing.desk import Desk, told
from agent.signing.protocol import Answer, Failed
from agent.signing.session import Request, failure
from collectors.catalogue import all_tables
from collectors.contract import Table
from evidence.errors import EvidenceError


class Service:
    """One state, served."""

    def __init__(self, clerk: Clerk) -> None:
        self._clerk = clerk
        self._desk = Desk(clerk)

    @cached_property
    def _all_tables(self) -> dict[str, Table]:
        return {each.name: each for each in all_tables()}

    def tables(self) -> dict[str, Table]:
        """Return the tables of this version by name; collectors are imported when the first snapshot comes."""
        return self._all_tables

    def act(self, request: Request, uid: int) -> Answer:
        """Do what a user asks and return the answer, which is an error where it could not be done."""
        answer: Answer
        try:
            answer = self._desk.answer(request.question, request.collections, uid)
        except EvidenceError as error:
            answer = failure(error)
        except OSError as error:
            found = (error.strerror or type(error).__name__).lower()
            answer = Failed(kind="StateError", where=self._clerk.state, expected="a state", found=found, step="")
        return told(answer, self._clerk)

    def pause(self, _now: float) -> float | None:
        """Do what was put off, and return when there is more of it."""
        return None
