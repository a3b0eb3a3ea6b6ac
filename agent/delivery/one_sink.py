"""One sink in one attempt: batch after batch in order, until it has all of them or has to wait."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import cast

import msgspec

from agent.delivery import outbox, results
from agent.delivery.catching_up import CatchUp
from agent.delivery.errors import AnswerError, BatchError, DeliveryError, UnreachableError
from agent.delivery.moment import Moment
from agent.delivery.outbox import Waiting
from agent.delivery.progress import Done, Progress, Records
from agent.delivery.results import Behind, Delivered, Held, Result, Retry, Unknown
from agent.delivery.sinks.contract import HubLike, Sink
from agent.delivery.standing import Standing
from agent.delivery.telling import Signer, forget_gone, tell
from agent.delivery.tries import Tries
from evidence.errors import BusyError, EvidenceError

UNTOLD_S = 60.0
"""After this the signer is told again what it does not know."""
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
        """`in_order`: it is a hub, to which a batch is of use only after those in front of it."""
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
        self._standing = Standing(name, self._progress, moment, say)
        self._tries = Tries()
        self._catch_up = CatchUp(name, folder, self._progress, signer, moment, self._tries, say)
        self._stop = False
        self._unsaved = False

    def run(self, open_sink: OpenSink, *, by_hand: bool) -> Outcome:
        """Deliver what is due; `by_hand` does not wait for the time of the next attempt."""
        self._tell()
        try:
            wait_s = 0.0 if by_hand else self._standing.patience_s()
            if wait_s == 0 and (self._catch_up.due or self._next(by_hand=by_hand) is not None):
                self._try(open_sink, by_hand=by_hand)
        finally:
            self._save()
        return self._outcome()

    def _try(self, open_sink: OpenSink, *, by_hand: bool) -> None:
        ends_ms = self._moment.boottime_ms() + SLICE_S * 1000
        try:
            sink = open_sink(self._progress.piece)
        except DeliveryError as error:
            self._hold(str(error))
            return
        with contextlib.closing(sink):
            while not self._stop:
                if self._moment.boottime_ms() >= ends_ms:
                    self._standing.wait(0.0)
                    break
                batch = self._next(by_hand=by_hand)
                if batch is not None:
                    self._tries.take(batch)
                    self._take(batch, self._result(sink, batch))
                    self._progress.piece = getattr(sink, "piece", None)
                elif not self._more(sink, ends_ms):
                    self._end()
                    break
                self._save()
        self._catch_up.finish()

    def _more(self, sink: Sink, ends_ms: float) -> bool:
        """Do what lets the attempt go on when nothing is left that can be tried; return whether there was anything."""
        if not self._in_order:
            return False
        try:
            return self._catch_up.more(cast("HubLike", sink), ends_ms)
        except (UnreachableError, AnswerError) as error:
            self._retry(str(error))
        except DeliveryError as error:
            self._hold(str(error))
        return True

    def _end(self) -> None:
        """Say why what is left is left, and when it is tried again."""
        for log_id, reason in self._catch_up.postponed.items():
            self._blocked.add(log_id)
            self._hold(reason, stop=False)
        stuck = next((each for each in self._candidates(by_hand=False) if not self._tries.may(each)), None)
        if stuck is not None:
            self._retry(f"{stuck.name}: expected the file that the signer wrote, found another")

    def _next(self, *, by_hand: bool) -> Waiting | None:
        """Return the first batch that can be tried now."""
        stuck: set[str] = set()
        for each in self._candidates(by_hand=by_hand):
            if each.place.log_id in stuck:
                continue
            if self._tries.may(each):
                return each
            stuck |= {each.place.log_id} if self._in_order else set()
        return None

    def _candidates(self, *, by_hand: bool) -> Iterator[Waiting]:
        """Yield the batches that are neither there, nor parked, nor behind one that is parked, nor of a blocked log."""
        there = outbox.waiting(self._folder)
        forget_gone(self._progress, there)
        passed_over = self._blocked | self._catch_up.postponed.keys()
        for each in there:
            if each.name in self._progress.done or each.place.log_id in passed_over:
                continue
            if self._standing.is_due(each, by_hand=by_hand):
                yield each
            elif self._in_order:
                passed_over.add(each.place.log_id)

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
                pass
            case Retry(reason, after_s):
                self._retry(reason, after_s)
            case Unknown(reason):
                self._catch_up.unknown(batch, reason)
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
        if note is not None:
            self._keep(lambda: self._records.keep_receipt(batch.place.log_id, batch.place.size, self._name, note))
        self._tell()
        if batch.name not in progress.done:  # the signer does not take it for this batch: nothing was gained
            return
        self._delivered += 1
        if self._in_order:
            self._catch_up.delivered(batch)
        if self._stop:
            return
        self._standing.well()
        if not self._blocked:
            progress.until_ms = 0  # by hand, a success comes before the time that a failure set

    def _retry(self, reason: str, after_s: float | None = None) -> None:
        self._standing.retry(reason, after_s)
        self._stop = True

    def _hold(self, reason: str, *, stop: bool = True) -> None:
        self._standing.hold(reason)
        self._stop = self._stop or stop

    def _park(self, batch: Waiting, reason: str, note: str | None = None, wait_s: float | None = None) -> None:
        self._standing.park(batch, reason, note, wait_s)
        self._tell()

    def _rewind(self, batch: Waiting, size: int) -> None:
        """Send from where the hub stands: it was restored, or has lost what it had acknowledged."""
        log_id = batch.place.log_id
        try:
            too_soon = self._catch_up.behind(log_id, size)
        except BusyError as error:
            self._retry(str(error))
        except EvidenceError as error:  # it cannot be written any more: other logs can
            self._park(batch, f"{log_id}: expected batches from entry {size} on, found {error}")
        else:
            if too_soon is not None:
                self._park(batch, too_soon.reason, wait_s=too_soon.wait_s)

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
        due_in_s = self._standing.due_in_s()
        waits = [due_in_s] if self._blocked or any(self._candidates(by_hand=False)) else []
        if self._catch_up.wait_s is not None:
            waits.append(max(due_in_s, self._catch_up.wait_s))
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
