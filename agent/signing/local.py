"""The door of a command that writes itself, where there is no signer."""

from __future__ import annotations

import os
from collections.abc import Sequence

from agent.collection.frames import FrameError
from agent.collection.receiver import Collection
from agent.places import Places
from agent.signing.asking import Door
from agent.signing.clerk import Clerk
from agent.signing.desk import Desk
from agent.signing.outbox import Outbox
from agent.signing.policy import config_of, policy_of
from agent.signing.protocol import Answer, Question, checked
from agent.users import acting_for
from evidence.errors import FormatError


class LocalDoor(Door):
    """Opens the store for each act and gives it back: the host is read in between, which may take its time."""

    def __init__(self, places: Places, wait_s: float, config: str | None = None) -> None:
        super().__init__()
        self._places = places
        self._wait_s = wait_s
        self._config = config_of(config, places)

    def ask(self, question: Question, collections: Sequence[Collection] = ()) -> Answer:
        """Do it here, by the rules that the signer has."""
        try:
            question = checked(question)
        except FrameError as error:
            raise FormatError("request", "one that can be signed", str(error)) from None
        uid = os.getuid()
        with acting_for(self._places.state):
            clerk = Clerk(self._places.state, self._wait_s)
            try:
                outbox = Outbox(self._places.outbox, clerk, lambda: policy_of(self._config))
                return Desk(clerk, outbox).answer(question, collections, uid)
            finally:
                clerk.close()
                self._news += clerk.news()
