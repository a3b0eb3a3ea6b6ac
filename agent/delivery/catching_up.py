"""What a hub lacks of logs that are not in the outbox any more: found out when there is reason to, and brought back.

A hub that was put back to a backup, or begun anew, lacks the ends of logs of which nothing waits: those that were
closed by a rotation or a new epoch. Without the end of a closed log it does not know the key of the next one either.
It is asked how far it has each log when it turns out to be behind, when it does not know a key, when a log begins, and
once a week; never for a delivery as such. What it claims is believed within bounds: so many questions in an attempt,
and each log again from the beginning ever more rarely.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from agent.delivery import outbox
from agent.delivery.errors import DeliveryError
from agent.delivery.moment import Moment
from agent.delivery.outbox import Waiting
from agent.delivery.progress import Progress, Rewound
from agent.delivery.sinks.contract import HubLike
from agent.delivery.telling import Signer
from agent.delivery.tries import Tries
from evidence.errors import EvidenceError

MOST_ASKED = 100
"""Logs that one attempt asks for."""
REST_S, FAILED_S = 60.0, 900.0
"""When an attempt goes on that could not ask for all, or for none."""
WEEK_S = 7 * 86_400.0
REWOUND_S, REWOUND_CAP_S = 60.0, 86_400.0
"""How long a log that was sent again is not sent again once more: doubled each time, and forgotten after a day."""


class TooSoon(NamedTuple):
    """Why a log is not sent again now, and in how many seconds it is."""

    reason: str
    wait_s: float


class CatchUp:
    """What one attempt does for a hub that lacks something."""

    def __init__(
        self,
        name: str,
        folder: str,
        progress: Progress,
        signer: Signer,
        moment: Moment,
        tries: Tries,
        say: Callable[[str], object],
    ) -> None:
        self._name = name
        self._folder = folder
        self._progress = progress
        self._signer = signer
        self._moment = moment
        self._tries = tries
        self._say = say
        self.postponed: dict[str, str] = {}
        """Logs whose key the hub does not know so far, and what it says of them."""
        self._acknowledged: dict[str, int] = {}
        self._lacking: list[tuple[str, int]] = []
        self._asked = False
        self._whole = False
        self._all: list[str] = []
        self._reached: str | None = None
        self._known = False
        """Whether the hub knows this host."""
        self._deliveries = self._released = self._rested = 0
        self._enrolled = False
        self._rest = False
        self._again_s = FAILED_S

    @property
    def due(self) -> bool:
        """Return whether there is something to be asked, whatever waits in the outbox."""
        return self._progress.compared.due

    def delivered(self, batch: Waiting) -> None:
        """Note that the hub has a batch; the first one of a log is a reason to ask for the others."""
        log_id = batch.place.log_id
        self._acknowledged[log_id] = max(batch.place.size, self._acknowledged.get(log_id, 0))
        self._deliveries += 1
        self._known = True
        compared = self._progress.compared
        ago = None if compared.at is None else self._moment.seconds_since(compared.at)
        if log_id not in compared.logs or ago is None or not 0 <= ago < WEEK_S:
            compared.due = True

    def unknown(self, batch: Waiting, reason: str) -> None:
        """Put off a log whose key the hub does not know."""
        self.postponed[batch.place.log_id] = reason
        self._ask_anew()

    def behind(self, log_id: str, size: int) -> TooSoon | None:
        """Have a log sent from where the hub stands; return why it has to wait, None if it has not.

        Raises: EvidenceError if the signer cannot write what lacks.
        """
        self._known = True
        self._ask_anew()
        too_soon = self._too_soon(log_id, size)
        if too_soon is None:
            self._rewind(log_id, size)
        return too_soon

    def more(self, hub: HubLike, ends_ms: float) -> bool:
        """Do the next thing that lets the attempt go on, and return whether there was one.

        To be called when nothing is left that can be tried. It ends: each log is asked for once, and what was put off
        has its turn again only after another batch was taken, or after an enrolment.
        """
        if self.due and not self._asked:
            self._compare(hub, ends_ms)
        if self._known and self._lacking:
            return self._bring_next()
        if self.postponed and self._deliveries > self._released:
            return self._release()
        if self.postponed and not self._enrolled:
            return self._enrol(hub)
        return self._write_rest()

    def finish(self) -> None:
        """Note how far the questions came, so that the next attempt goes on there."""
        compared = self._progress.compared
        if not self._asked or (self._known and self._lacking):
            return
        if self._whole or not self._known:  # a hub that knows nobody asks for nothing
            compared.due, compared.after = False, None
        else:
            compared.after = self._reached
        if self._whole and self._known:
            compared.logs = [*self._all, *(self._acknowledged.keys() - set(self._all))]
            compared.at = self._moment.wall_text()

    @property
    def wait_s(self) -> float | None:
        """Return after how many seconds the questions go on, None if there are none."""
        if not self.due:
            return None
        return REST_S if self._reached is not None or not self._asked else self._again_s

    def _ask_anew(self) -> None:
        compared = self._progress.compared
        compared.due = True
        if not self._asked:
            compared.logs = []

    def _compare(self, hub: HubLike, ends_ms: float) -> None:
        """Ask how far the hub has each log of which nothing waits here."""
        self._asked = True
        done, asked = self._progress.done, 0
        busy = {each.place.log_id for each in outbox.waiting(self._folder) if each.name not in done}
        try:
            logs = self._signer.logs()
            self._all = [each.log for each in logs]
            after = self._progress.compared.after
            start = self._all.index(after) + 1 if after in self._all else 0
            for each in logs[start:]:
                if each.log in busy or self._acknowledged.get(each.log, 0) >= each.size:
                    continue
                if asked == MOST_ASKED or self._moment.boottime_ms() >= ends_ms:
                    return
                size = hub.size_of(each.log)
                self._reached = each.log
                asked += 1
                self._known = self._known or size is not None
                if (size or 0) < each.size:
                    self._lacking.append((each.log, size or 0))
        except (DeliveryError, EvidenceError) as error:
            self._say(f"{self._name}: expected to compare the logs with those of the hub, found {error}")
            self._reached = None
            return
        self._whole = True

    def _bring_next(self) -> bool:
        """Have the oldest log that lacks something sent again; the next one follows when that is done."""
        log_id, size = self._lacking[0]
        too_soon, why = self._too_soon(log_id, size), None
        if too_soon is not None:
            why, self._again_s = too_soon.reason, min(self._again_s, max(REST_S, too_soon.wait_s))
        else:
            try:
                self._rewind(log_id, size)
            except EvidenceError as error:
                why = f"{log_id}: expected batches from entry {size} on, found {error}"
        if why is not None:
            self._say(f"{self._name}: {why}")
            self._whole, self._reached = False, None  # all is asked once more, later
        del self._lacking[0]
        return True

    def _rewind(self, log_id: str, size: int) -> None:
        self._say(f"{self._name}: has {size} entries of {log_id}, fewer than it had: sending again from there")
        there = [each for each in outbox.waiting(self._folder) if each.place.log_id == log_id]
        for each in there:
            if each.place.size > size:
                self._progress.done.pop(each.name, None)
        if not any(each.place.first <= size < each.place.size for each in there):
            self._signer.batches(log_id, size)
            self._rest = True
        self._tries.again(log_id)
        self._progress.rewound[log_id] = self._rewound(log_id, size)

    def _rewound(self, log_id: str, size: int) -> Rewound:
        before, now_ms, boot = self._progress.rewound.get(log_id), self._moment.boottime_ms(), self._moment.boot
        times = 1
        if before is not None and before.boot == boot and now_ms < before.until_ms + REWOUND_CAP_S * 1000:
            times = before.times if size > before.size else before.times + 1
        wait_s = min(REWOUND_CAP_S, REWOUND_S * 2.0 ** min(times - 1, 16))
        return Rewound(size=size, times=times, until_ms=now_ms + int(wait_s * 1000), boot=boot)

    def _too_soon(self, log_id: str, size: int) -> TooSoon | None:
        """Return why a log is not sent again now; it is if the hub got on since, or if the last time is long ago."""
        before = self._progress.rewound.get(log_id)
        if before is None or size > before.size or before.boot != self._moment.boot:
            return None
        left_ms = before.until_ms - self._moment.boottime_ms()
        if left_ms <= 0:
            return None
        return TooSoon(f"{log_id}: expected a hub that gets on, found it at entry {size} again", left_ms / 1000)

    def _release(self) -> bool:
        """Let what was put off be tried again."""
        self._released = self._deliveries
        for log_id in self.postponed:
            self._tries.again(log_id)
        self.postponed.clear()
        return True

    def _enrol(self, hub: HubLike) -> bool:
        self._enrolled = True
        why = hub.enrol()
        if why is None:
            self._known = True
            return self._release()
        self.postponed = {log_id: f"{said}; {why}" for log_id, said in self.postponed.items()}
        return False

    def _write_rest(self) -> bool:
        """Have the signer write what did not go into its first answer."""
        if not self._rest or self._deliveries == self._rested:
            return False
        self._rested = self._deliveries
        try:
            return self._signer.batches() > 0
        except EvidenceError:
            return False  # it writes the rest by itself, later
