"""One sink in one attempt: batch after batch in order, until it has all of them or has to wait."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import msgspec

from agent.delivery import backoff, outbox, results
from agent.delivery.errors import AnswerError, BatchError, DeliveryError, UnreachableError
from agent.delivery.moment import Moment
from agent.delivery.outbox import Waiting
from agent.delivery.progress import Done, Parked, Progress, Records
from agent.delivery.results import Behind, Delivered, Held, Result, Retry
from agent.delivery.sinks.contract import Sink
from agent.delivery.telling import Signer, forget_gone, tell
from evidence.errors import EvidenceError

HELD_S = 15 * 60.0
PARKED_S, PARKED_CAP_S = 15 * 60.0, 24 * 3600.0
UNTOLD_S = 60.0
"""After this the signer is told again what it does not know."""
LONG_S = 3600.0
"""After so long without a success, the first attempt of a boot begins at a random time."""
SLICE_S = 600.0
"""A backlog is delivered in slices, so that one slow sink does not keep the others waiting."""

OpenSink = Callable[[int | None], Sink]
"""Return the sink; the number is the size of pieces that got through last time."""


class Outcome(msgspec.Struct, frozen=True):
    """What one attempt did for one sink."""

    name: str
    delivered: int
    left: int
    """Batches that it does not have yet."""
    wait_s: float | None
    """When to try again; None: there is nothing left that could be tried."""
    reason: str | None
    held: bool


class OneSink:
    """The attempt for one sink. Whatever goes wrong with it is in its progress, and touches no other sink."""

    def __init__(
        self,
        name: str,
        folder: str,
        records: Records,
        signer: Signer,
        moment: Moment,
        say: Callable[[str], object],
        *,
        in_order: bool,
    ) -> None:
        """`in_order`: a batch is of use to this sink only after those in front of it."""
        self._name = name
        self._in_order = in_order
        self._folder = folder
        self._records = records
        self._signer = signer
        self._moment = moment
        self._say = say
        self._progress = records.progress(name)
        self._delivered = 0
        self._blocked: set[str] = set()
        """Logs of which nothing more is tried in this attempt."""
        self._rewound: set[str] = set()
        self._gone: set[str] = set()
        self._stop = False
        self._unsaved = False

    def run(self, open_sink: OpenSink, *, by_hand: bool) -> Outcome:
        """Deliver what is due; `by_hand` does not wait for the time of the next attempt."""
        self._tell()
        try:
            wait_s = 0.0 if by_hand else self._patience_s()
            if wait_s == 0 and self._next(by_hand=by_hand) is not None:
                self._try(open_sink, by_hand=by_hand)
        finally:
            self._save()
        return self._outcome()

    def _patience_s(self) -> float:
        """Return for how long this sink has to be left alone."""
        progress, moment = self._progress, self._moment
        ago = None if progress.last_success is None else moment.seconds_since(progress.last_success)
        if moment.boot != progress.boot and ago is not None and ago > LONG_S:
            # ten thousand hosts that return together (a site that was dark) must not arrive together
            self._wait(moment.draw(0.0, backoff.CAP_S))
        return progress.due_in_s(moment.boot, moment.boottime_ms())

    def _try(self, open_sink: OpenSink, *, by_hand: bool) -> None:
        ends_ms = self._moment.boottime_ms() + SLICE_S * 1000
        try:
            sink = open_sink(self._progress.piece)
        except DeliveryError as error:
            self._hold(str(error))
            return
        with contextlib.closing(sink):
            while not self._stop and (batch := self._next(by_hand=by_hand)) is not None:
                if self._moment.boottime_ms() >= ends_ms:
                    self._wait(0.0)
                    break
                self._take(batch, self._result(sink, batch))
                self._progress.piece = getattr(sink, "piece", None)
                self._save()

    def _next(self, *, by_hand: bool) -> Waiting | None:
        """Return the first batch that can be tried now."""
        there = outbox.waiting(self._folder)
        forget_gone(self._progress, there)
        behind_parked: set[str] = set()
        for each in there:
            log_id = each.place.log_id
            parked = self._progress.parked.get(each.name)
            if parked is not None and not self._due(parked, each, by_hand=by_hand):
                behind_parked |= {log_id} if self._in_order else set()
            elif log_id not in self._blocked | behind_parked and each.name not in {*self._progress.done, *self._gone}:
                return each
        return None

    def _due(self, parked: Parked, batch: Waiting, *, by_hand: bool) -> bool:
        if batch.name in self._gone:
            return False
        waits = parked.boot == self._moment.boot and self._moment.boottime_ms() < parked.until_ms
        return by_hand or parked.stamp != batch.stamp or not waits

    def _result(self, sink: Sink, batch: Waiting) -> Result | None:
        """Try one batch; None if the signer has taken it away meanwhile."""
        try:
            with outbox.opened(batch) as open_batch:
                result = sink.deliver(open_batch)
                if isinstance(result, Delivered):
                    self._done(open_batch.sha256, batch, result.note)
                return result
        except FileNotFoundError:
            return None
        except BatchError as error:
            return results.Parked(str(error))
        except (UnreachableError, AnswerError) as error:
            return Retry(str(error))
        except DeliveryError as error:
            return Held(str(error))
        except OSError as error:
            return Retry(f"{batch.name}: {(error.strerror or 'an error').lower()}")

    def _take(self, batch: Waiting, result: Result | None) -> None:
        """Note what became of a batch."""
        match result:
            case None:
                self._gone.add(batch.name)
            case Retry(reason, after_s):
                self._retry(reason, after_s)
            case Held(reason, log_only=True):
                self._blocked.add(batch.place.log_id)
                self._hold(reason, stop=False)
            case Held(reason):
                self._hold(reason)
            case results.Parked(reason, note):
                self._park(batch, reason, note)
            case Behind(size):
                self._rewind(batch, size)

    def _done(self, sha256: str, batch: Waiting, note: bytes | None) -> None:
        progress = self._progress
        progress.parked.pop(batch.name, None)
        progress.done[batch.name] = Done(sha256=sha256, note=None if note is None else note.decode())
        progress.state, progress.reason, progress.since, progress.failures = "ok", None, None, 0
        progress.last_success = self._moment.wall_text()
        if not self._blocked:
            progress.until_ms = 0  # by hand, a success comes before the time that a failure set
        self._delivered += 1
        if note is not None:
            self._keep(lambda: self._records.keep_receipt(batch.place.log_id, batch.place.size, self._name, note))
        self._tell()

    def _retry(self, reason: str, after_s: float | None) -> None:
        self._progress.failures += 1
        self._trouble("retry", reason)
        self._wait(max(after_s or 0.0, backoff.delay_s(self._progress.failures, self._moment.draw)))
        self._stop = True

    def _hold(self, reason: str, *, stop: bool = True) -> None:
        self._trouble("held", reason)
        self._wait(HELD_S)
        self._stop = self._stop or stop

    def _park(self, batch: Waiting, reason: str, note: str | None) -> None:
        before = self._progress.parked.get(batch.name)
        same = before is not None and before.stamp == batch.stamp
        times = before.times + 1 if before is not None and same else 1
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
        self._gone.add(batch.name)
        self._tell()

    def _rewind(self, batch: Waiting, size: int) -> None:
        """Send from where the hub stands: it was restored, or has lost what it had acknowledged."""
        log_id = batch.place.log_id
        if log_id in self._rewound:
            self._retry(f"{log_id}: expected a hub that gets on, found it at entry {size} again", None)
            return
        self._rewound.add(log_id)
        self._say(f"{self._name}: has {size} entries of {log_id}, fewer than it had: sending again from there")
        there = [each for each in outbox.waiting(self._folder) if each.place.log_id == log_id]
        for each in there:
            if each.place.size > size:
                self._progress.done.pop(each.name, None)
        if any(each.place.first <= size < each.place.size for each in there):
            return
        try:
            self._signer.batches(log_id, size)
        except EvidenceError as error:
            self._retry(f"{log_id}: expected batches from entry {size} on, found {error}", None)

    def _trouble(self, state: str, reason: str) -> None:
        progress = self._progress
        if progress.state == "ok":
            progress.since = self._moment.wall_text()
        if progress.reason != reason:
            self._say(f"{self._name}: {'held' if state == 'held' else 'will be tried again'}: {reason}")
        progress.state, progress.reason = ("held" if state == "held" else "retry"), reason

    def _wait(self, seconds: float) -> None:
        self._progress.boot = self._moment.boot
        self._progress.until_ms = self._moment.boottime_ms() + int(seconds * 1000)

    def _tell(self) -> None:
        why = tell(self._signer, self._name, self._progress, self._reject)
        if why is not None:
            self._hold(why)

    def _reject(self, data: bytes) -> None:
        self._keep(lambda: self._records.reject(self._name, data))

    def _save(self) -> None:
        self._keep(lambda: self._records.save(self._name, self._progress))

    def _keep(self, act: Callable[[], object]) -> None:
        """Write to our own folder; where that cannot be done, delivery goes on and repeats itself later."""
        try:
            act()
        except (OSError, EvidenceError) as error:
            if not self._unsaved:
                self._say(f"{self._name}: expected to write down what was delivered, found: {error}")
            self._unsaved = True

    def _outcome(self) -> Outcome:
        progress = self._progress
        left = [each for each in outbox.waiting(self._folder) if each.name not in progress.done]
        now_ms = self._moment.boottime_ms()
        waits = [progress.due_in_s(self._moment.boot, now_ms)] if self._next(by_hand=False) or self._blocked else []
        waits += [max(0, each.until_ms - now_ms) / 1000 for each in progress.parked.values()]
        waits += [UNTOLD_S for each in progress.done.values() if not each.told]
        return Outcome(
            name=self._name,
            delivered=self._delivered,
            left=len(left),
            wait_s=min(waits, default=None),
            reason=progress.reason if progress.state != "ok" else _first_reason(progress),
            held=progress.state == "held",
        )


def _first_reason(progress: Progress) -> str | None:
    return next((f"{name} is parked: {each.reason}" for name, each in progress.parked.items()), None)
