"""How a sink fares: what is wrong with it, since when, and when it is tried again. All of it is in its progress."""

from __future__ import annotations

from collections.abc import Callable

from agent.delivery import backoff
from agent.delivery.moment import Moment
from agent.delivery.outbox import Waiting
from agent.delivery.progress import Parked, Progress

HELD_S = 15 * 60.0
PARKED_S, PARKED_CAP_S = 15 * 60.0, 24 * 3600.0
LONG_S = 3600.0
"""After so long without a success, the first attempt of a boot begins at a random time."""


class Standing:
    """The standing of one sink in one attempt."""

    def __init__(self, name: str, progress: Progress, moment: Moment, say: Callable[[str], object]) -> None:
        self._name = name
        self._progress = progress
        self._moment = moment
        self._say = say

    def patience_s(self) -> float:
        """Return for how long the sink has to be left alone."""
        progress, moment = self._progress, self._moment
        ago = None if progress.last_success is None else moment.seconds_since(progress.last_success)
        if moment.boot != progress.boot and ago is not None and ago > LONG_S:
            # ten thousand hosts that return together (a site that was dark) must not arrive together
            self.wait(moment.draw(0.0, backoff.CAP_S))
        return self.due_in_s()

    def due_in_s(self) -> float:
        """Return the seconds until it may be tried again."""
        return self._progress.due_in_s(self._moment.boot, self._moment.boottime_ms())

    def is_due(self, batch: Waiting, *, by_hand: bool) -> bool:
        """Return whether a batch may be tried: it is not parked, or long enough, or another file by now."""
        parked = self._progress.parked.get(batch.name)
        if parked is None or by_hand or parked.stamp != batch.stamp:
            return True
        return parked.boot != self._moment.boot or self._moment.boottime_ms() >= parked.until_ms

    def well(self) -> None:
        """Note that something was delivered."""
        progress = self._progress
        progress.state, progress.reason, progress.since, progress.failures = "ok", None, None, 0
        progress.last_success = self._moment.wall_text()

    def retry(self, reason: str, after_s: float | None = None) -> None:
        """Try it again: after a random time that doubles with each failure, or after what it asked for."""
        self._progress.failures += 1
        self._trouble("retry", reason)
        self.wait(max(after_s or 0.0, backoff.delay_s(self._progress.failures, self._moment.draw)))

    def hold(self, reason: str) -> None:
        """Leave it until somebody has looked; it is tried all the same."""
        self._trouble("held", reason)
        self.wait(HELD_S)

    def park(self, batch: Waiting, reason: str, note: str | None = None, wait_s: float | None = None) -> None:
        """Leave a batch, ever longer unless it is known for how long."""
        before = self._progress.parked.get(batch.name)
        same = before is not None and before.stamp == batch.stamp
        times = before.times + 1 if before is not None and same else 1
        if wait_s is None:
            wait_s = min(PARKED_CAP_S, PARKED_S * 2.0 ** min(times - 1, 16))
        self._progress.parked[batch.name] = Parked(
            stamp=batch.stamp,
            reason=reason,
            since=before.since if before is not None and same else self._moment.wall_text(),
            note=note,
            told=before is not None and same and before.told and before.reason == reason,
            times=times,
            until_ms=self._moment.boottime_ms() + int(wait_s * 1000),
            boot=self._moment.boot,
        )
        if times == 1:
            self._say(f"{self._name}: {batch.name} is parked: {reason}; the log is intact")

    def wait(self, seconds: float) -> None:
        """Leave it for so long."""
        self._progress.boot = self._moment.boot
        self._progress.until_ms = self._moment.boottime_ms() + int(seconds * 1000)

    def _trouble(self, state: str, reason: str) -> None:
        progress = self._progress
        if progress.state == "ok":
            progress.since = self._moment.wall_text()
        if progress.reason != reason:
            self._say(f"{self._name}: {'held' if state == 'held' else 'will be tried again'}: {reason}")
        progress.state, progress.reason = ("held" if state == "held" else "retry"), reason
