"""Runs of `_collect`: what is due is read, what happened is signed, and what came of it is remembered."""

from __future__ import annotations

import contextlib
import os

from agent.daemon import rights
from agent.daemon.children import Child, Order
from agent.daemon.family import STUCK, Family
from agent.daemon.parts import LATER
from agent.daemon.pending import Pending
from agent.daemon.plan import KINDS, Plan
from agent.daemon.pressure import Pause
from agent.daemon.results import Reading, Result
from agent.daemon.schedule import NEVER, Run, Schedule
from agent.daemon.settings import Settings
from agent.daemon.waiting import Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS = "events"
"""The kind of a run that reads nothing."""
LIMIT_S = {"file": 1800.0, "process": 900.0, "sweep": 7200.0, EVENTS: 120.0}
"""What a run may take in all, by its kind; each of its children has limits of its own within it."""
MOST_STUCK = 3
"""Children that hang in the kernel and are left behind; after that, their tables are not tried."""
MOST_NOTED = 100
"""Of which each keeps a descriptor here."""
FIRST_PAUSE_S = 60.0
"""How long the very first readings wait for a busy host: without them there is nothing to go by."""
EVENT_WAIT_S = 2.5
"""An event waits so long for a run to go with."""
EVENT_DISTANCE_S = 60.0
"""Runs for events alone are no closer to each other."""


class Stuck:
    """A child that hangs in the kernel, and the table it was reading."""

    def __init__(self, table: str, pid: int, since: float) -> None:
        self.table = table
        self.pid = pid
        self.since = since
        self.pidfd = os.pidfd_open(pid)


class Runs:
    """What is read, at most one run of a kind at a time. `after` is told of each run that was signed."""

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        family: Family,
        waiting: Waiting,
        *,
        now: float,
        random: Callable[[], float],
        after: Callable[[Result, float], None],
    ) -> None:
        self.plan = plan
        self.schedule = Schedule(plan.tables.values(), plan.jitter_s, now, random)
        self.pending = Pending()
        self.pause = Pause(settings.pressure)
        self.readings: dict[str, Reading] = {}
        self.read_at: dict[str, float] = {}
        self.stuck: list[Stuck] = []
        self.last_signed = ""
        self.signed_at = now
        self._settings = settings
        self._random = random
        self._family = family
        self._waiting = waiting
        self._after = after
        self._paused_until = 0.0
        self._events_at = now - EVENT_DISTANCE_S
        self._results: dict[int, Result] = {}

    # When

    def next_time(self) -> float:
        """Return when there is something to begin."""
        if self.schedule.held:
            return self._event_time()
        busy = self._family.purposes
        due = max(self.schedule.next_time(busy), self._paused_until)
        return min(due, self.schedule.next_time(busy, changed=True), self._event_time())

    def _event_time(self) -> float:
        """Return when a run for events alone is due: some wait, nothing was signed for long, or signing is tried."""
        if self._is_signing:
            return NEVER
        if self.schedule.held:
            return self.schedule.held_until
        waiting = max(self.pending.due, self._events_at + EVENT_DISTANCE_S)
        return min(self.signed_at + self.plan.heartbeat_s, waiting)

    @property
    def _is_signing(self) -> bool:
        """Return whether a run has events that are not signed yet; it signs them first, whatever it reads then."""
        signing = (each for each in self._family.members if each.order.events)
        return any(self._results[each.pid].events < len(each.order.events) for each in signing)

    def note(self, kind: str, first: str = "", last: str = "", *, now: float) -> None:
        """Have an event signed with the next run, or soon without one."""
        self.pending.add(kind, first, last, due=now + EVENT_WAIT_S)

    def follow(self, plan: Plan, now: float) -> None:
        """Keep to another plan from now on."""
        before, self.plan = self.schedule, plan
        self.schedule = Schedule(plan.tables.values(), plan.jitter_s, now, self._random)
        self.schedule.carried(before)

    def unpaused(self) -> None:
        """Look at the pressure again at once."""
        self._paused_until = 0.0

    # What is begun

    def begin_due(self, now: float) -> None:
        """Begin what is due, if it can be signed. What is due by the schedule alone waits while the host is busy."""
        if not self.schedule.held and self.schedule.next_time(self._family.purposes) <= now:
            paused = self._paused(now)
            for kind in sorted(set(KINDS) - self._family.purposes):
                run = self.schedule.take(kind, now, changed=paused)
                if run is not None:
                    self._begin(run, now)
        if self._event_time() <= now:  # when nothing could be signed, this little is tried before much is read
            self.begin_events(now)

    def _paused(self, now: float) -> bool:
        longest = self.plan.pause_limit_s if self.read_at else min(self.plan.pause_limit_s, FIRST_PAUSE_S)
        again = self.pause.until(self.plan.pressure, longest, now)
        self._paused_until = 0.0 if again is None else again
        return again is not None

    def _begin(self, run: Run, now: float) -> None:
        hanging = {each.table for each in self.stuck} if len(self.stuck) >= MOST_STUCK else set()
        words = ["--reason", run.reason]
        for option, names in (("--tables", set(run.tables) - hanging), ("--hanging", set(run.tables) & hanging)):
            if names:
                words += [option, ",".join(f"{name}={self.plan.tables[name].interval_s}" for name in sorted(names))]
        order = self._order(run.kind, words)
        order.tables = run.tables
        order.capabilities = rights.PROCESS_READER if run.kind == "process" else rights.FILE_READER
        order.sees_mounts = True
        self.schedule.begun(run.tables, now)
        if not self._start(order, now):
            self.schedule.unsigned(run.tables, now)

    def begin_events(self, now: float) -> Child | None:
        """Begin a run that signs the events that wait, or that we are alive."""
        if not self.pending:
            self.pending.add("heartbeat", due=now)
        self._events_at = now
        child = self._start(self._order(EVENTS, []), now)
        if child is None:
            self.schedule.unsigned((), now)
        return child

    def _order(self, kind: str, words: list[str]) -> Order:
        """Return the order of a run, with all events that wait unless another run has them."""
        events = () if self._is_signing else self.pending.words()
        words = words + [word for event in events for word in ("--event", event)]
        order = Order(kind, self._settings.command("_collect", *words), LIMIT_S[kind])
        order.events = events
        order.user = self._settings.users.get("collect")
        order.settings = self.plan.settings
        order.said = self._said
        return order

    def _start(self, order: Order, now: float) -> Child | None:
        child = self._family.start(order, now, self._ended)
        if child is not None:
            self._results[child.pid] = Result()
            if order.events:
                self.pending.given(len(order.events))
        return child

    # What came of it

    def _said(self, child: Child, line: str, now: float) -> None:
        result = self._results[child.pid]
        events, stuck = result.events, len(result.stuck)
        result.take(line)
        self.pending.signed(min(result.events, len(child.order.events)) - min(events, len(child.order.events)))
        for table, pid in result.stuck[stuck:]:
            self._left_behind(table, pid, now)

    def _left_behind(self, table: str, pid: int, now: float) -> None:
        if pid in {each.pid for each in self._family.members} or len(self.stuck) >= MOST_NOTED:
            return  # whoever says so is mistaken: a child of our own is waited for by whoever started it
        with contextlib.suppress(OSError):  # it ended after all
            self.stuck.append(Stuck(table, pid, now))
            self.note("table-stuck", table, now=now)

    def freed(self, ready: set[int], now: float) -> None:
        """Read the tables again whose children ended at last."""
        for each in [each for each in self.stuck if each.pidfd in ready]:
            self.stuck.remove(each)
            self._waiting.forget((each.pidfd,))
            os.close(each.pidfd)
            with contextlib.suppress(ChildProcessError):  # it was the child of a child, most likely
                os.waitpid(each.pid, os.WNOHANG)
            self.schedule.changed((each.table,), now)

    def _ended(self, child: Child, code: int, now: float) -> None:
        result, tables = self._results.pop(child.pid), child.order.tables
        if result.events < len(child.order.events):
            self.pending.given(0)
        if code == STUCK:
            for table in tables:
                self._left_behind(table, child.pid, now)
        if result.signed or (code == 0 and not tables):
            self._signed(child, result, now)
        elif code == LATER or not tables:  # without tables it came to naught before it could say why
            self.schedule.unsigned(tables, now)
        else:
            self.schedule.lost(tables, now)

    def _signed(self, child: Child, result: Result, now: float) -> None:
        self.schedule.signed()
        self.last_signed, self.signed_at = result.signed or self.last_signed, now
        for name in child.order.tables:
            reading = result.readings.get(name)
            self.schedule.ended(name, now, failed=reading is None or reading.coverage == "failed")
            if reading is not None:
                self.readings[name], self.read_at[name] = reading, child.began
        self._after(result, now)
