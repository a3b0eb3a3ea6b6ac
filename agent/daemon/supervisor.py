"""The resident part: it waits, and starts what is due. It opens nothing of the host and parses nothing of others."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from agent.daemon import clocks, hints, reporting
from agent.daemon.children import Child, Order
from agent.daemon.family import Family
from agent.daemon.notify import Notify
from agent.daemon.parts import Parts
from agent.daemon.plan import Plan, PlanError, plan_said, read_file
from agent.daemon.results import Result
from agent.daemon.runs import Runs
from agent.daemon.saying import say
from agent.daemon.schedule import NEVER
from agent.daemon.settings import Settings
from agent.daemon.waiting import Waiting
from agent.daemon.watching import Watching

PLAN_LIMIT_S = 60.0
GRACE_S = 2.0
"""At the end: for a run to break off, and for a part to end."""
GOODBYE_S = 5.0
"""At the end: for the last event to be signed."""
REST_S = 0.25
"""After changes were noted, the queue fills for so long: a storm then costs few looks."""
IDLE_REST_S = 1.0
"""The same, if they concerned nothing that is read."""
REARM_S = 20.0
"""After the clock was set, it is not asked again for so long: some set it every second."""
STATUS_S = 0.5
"""The status file is written no more often."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


class Supervisor:
    """All that is resident."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self.began = now = clocks.boot()
        self.settings = settings
        self.plan_problem = ""
        self._waiting = Waiting()
        self.family = Family(self._waiting)
        self.parts = Parts(settings, self.family, self._waiting)
        self.runs = Runs(
            settings, plan, self.family, self._waiting, now=now, random=random_share, after=self._run_was_signed
        )
        self.watching = Watching(plan.watches)
        self._notify = Notify()
        self._boot_id = boot_id()
        self._changes = clocks.Changes(time.time(), now, time.monotonic())
        self._due_timer, self._set_timer = clocks.Timer(clocks.CLOCK_BOOTTIME), clocks.Timer(clocks.CLOCK_REALTIME)
        self._rearm_at = self._rest_until = NEVER
        self._tell_at, self._written_at, self._status_due = now, 0.0, NEVER
        self._degraded = ""
        self._stopping = False
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def run(self) -> int:
        """Work until asked to stop, and return the exit code."""
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for each in _SIGNALS:
            signal.signal(each, _noted)
        self._remember()
        self.parts.listen()
        self._watch_clock()
        self.runs.note("agent-started", self.runs.plan.digest, now=self.began)
        self._note_watches(self.began)
        self._notify.tell("READY=1")
        self._status_soon(self.began)
        while not self._stopping:
            self._turn()
        return self._stop()

    def _turn(self) -> None:
        """Begin what is due, then wait for the next thing to happen, and hear it."""
        now = clocks.boot()
        paused = self.runs.pause.resource
        self.runs.begin_due(now)
        if self.runs.pause.resource != paused:
            self._status_soon(now)
        self.parts.deliver_due(now)
        self._tend(now)
        self._due_timer.set(self._next_time())
        self._hear(self._wait())

    # What there is to wait for

    def _next_time(self) -> float:
        """Return when there is something to do though nothing happens."""
        return min(
            *(self.runs.next_time(), self.parts.next_time(), self.family.next_time),
            *(self._tell_at, self._status_due, self._rearm_at, self._rest_until),
        )

    def _wait(self) -> set[int]:
        now = clocks.boot()
        wanted = {self._wake, self._due_timer.fd, self._set_timer.fd, *self.family.fds, *self.parts.fds(now)}
        wanted |= {each.pidfd for each in self.runs.stuck}
        if self.watching.fd >= 0 and self._rest_until == NEVER:
            wanted.add(self.watching.fd)
        return self._waiting.wait(wanted)

    def _hear(self, ready: set[int]) -> None:
        now = clocks.boot()
        for kind, first, last in self._changes.noticed(time.time(), now, time.monotonic()):
            self.runs.note(kind, _ms(first), _ms(last), now=now)
        self._due_timer.clear()
        if self._set_timer.clear():
            self._rearm_at = now + REARM_S
        if self._wake in ready:
            self._heed(os.read(self._wake, 64), now)
        if self.watching.fd in ready:
            self._note_changes(now)
        self.runs.freed(ready, now)
        self.parts.hear(ready, now)
        self.family.hear(ready, now)
        if ready - {self._due_timer.fd, self._set_timer.fd}:
            self._status_soon(now)

    def _heed(self, signals: bytes, now: float) -> None:
        for number in signals:
            if number in {signal.SIGTERM, signal.SIGINT}:
                self._stopping = True
            elif number == signal.SIGHUP:
                self._ask_for_plan(now)
            elif number == signal.SIGUSR1:
                self.runs.schedule.wanted(now)
                self.runs.unpaused()

    def _tend(self, now: float) -> None:
        """Do what is done now and then."""
        self.family.tend(now)
        if now >= self._rest_until:
            self._rest_until = NEVER
        if now >= self._rearm_at:
            self._watch_clock()
        if now >= self._tell_at:
            self._notify.tell("WATCHDOG=1")
            self._tell_at = now + self._notify.every_s
        if now >= self._status_due:
            self._status_due, self._written_at = NEVER, now
            reporting.write(self)

    def _watch_clock(self) -> None:
        self._rearm_at = NEVER
        self._set_timer.set(clocks.FAR_S, clocks.TFD_TIMER_CANCEL_ON_SET)

    def _status_soon(self, now: float) -> None:
        self._status_due = min(self._status_due, max(now, self._written_at + STATUS_S))

    # Watches

    def _note_changes(self, now: float) -> None:
        before = self.watching.overflows
        tables = self.watching.changed()
        self.runs.schedule.changed(tables, now)
        self._rest_until = now + (REST_S if tables else IDLE_REST_S)
        if self.watching.overflows > before:
            self.runs.note("watches-degraded", "overflow", now=now)
        self._note_watches(now)

    def _note_watches(self, now: float) -> None:
        """Record it when changes can no longer be noticed as they happen, once."""
        problem, before = self.watching.degraded, self._degraded
        self._degraded = problem
        if problem and problem != before:
            say(f"watches: {problem}; what is not watched is read by the schedule")
            self.runs.note("watches-degraded", "too-many", now=now)

    def _run_was_signed(self, result: Result, now: float) -> None:
        """Remember when tables were read, watch where users live, and deliver."""
        if result.readings:
            hints.save(self.settings.cache, self._boot_id, self.runs.read_at)
            found = self.watching.homes(result.homes) if "users" in result.readings else self.watching.renew()
            self.runs.schedule.changed(found, now)
            self._note_watches(now)
        if self.runs.plan.upload:
            self.parts.deliver(now)  # the run has seen to it that the batch is written

    def _remember(self) -> None:
        """Read later what was read not long ago, unless its changes since then went unnoticed."""
        watched = {name for each in self.runs.plan.watches.values() for name in each}
        for name, moment in hints.load(self.settings.cache, self._boot_id).items():
            if name not in watched and name in self.runs.plan.tables:
                self.runs.schedule.remembered(name, moment, self.began)
                self.runs.read_at[name] = min(moment, self.began)

    # The plan

    def _ask_for_plan(self, now: float) -> None:
        """Have the configuration read again."""
        self._notify.tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        if self.settings.plan:
            self._take_plan(*read_file(self.settings.plan), now)
        elif "plan" not in self.family.purposes:
            order = Order("plan", self.settings.command("_plan"), PLAN_LIMIT_S)
            if self.family.start(order, now, self._plan_ended) is None:
                self._take_plan(1, b"", now)

    def _plan_ended(self, child: Child, code: int, now: float) -> None:
        self._take_plan(code, bytes(child.held), now)

    def _take_plan(self, code: int, data: bytes, now: float) -> None:
        try:
            plan = plan_said(code, data)
        except PlanError as error:
            self.plan_problem = str(error)
            say(f"{error}; the plan before stays in force")
        else:
            self.plan_problem = ""
            if plan.digest != self.runs.plan.digest:
                self.runs.note("config-changed", "", plan.digest, now=now)
            self._follow(plan, now)
        self._notify.tell("READY=1")

    def _follow(self, plan: Plan, now: float) -> None:
        """Keep to another plan; where it watches other paths, what changed in between was not seen, and is read."""
        before = self.runs.plan.watches
        self.runs.follow(plan, now)
        if plan.watches == before:
            unseen = self.watching.renew()  # the kernel may have room for more by now
        else:
            self._waiting.forget((self.watching.fd,))
            self.watching.close()
            self.watching = Watching(plan.watches)
            unseen = {name for each in plan.watches.values() for name in each}
        self.runs.schedule.wanted(now, unseen)
        self._note_watches(now)

    # The end

    def _stop(self) -> int:
        """Break off what runs, sign that the agent stops, and end the other parts."""
        self._notify.tell("STOPPING=1")
        parts = {each.name for each in self.parts.members}
        self._end([child for child in self.family.members if child.order.purpose not in parts], GRACE_S)
        now = clocks.boot()
        self.runs.note("agent-stopped", now=now)
        last = self.runs.begin_events(now)
        self._end([] if last is None else [last], GOODBYE_S, ask=False)
        self.parts.close()
        self._end(list(self.family.members), GRACE_S)
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self.settings.run, reporting.NAME))
        return 0

    def _end(self, ending: list[Child], grace_s: float, *, ask: bool = True) -> None:
        """Wait for children to end, first asking them to, and kill those that do not in time."""
        for child in ending if ask else []:
            child.ask()
        until = clocks.boot() + grace_s
        while clocks.boot() < until and not set(ending).isdisjoint(self.family.members):
            self._due_timer.set(until)
            self._hear(self._wait())
        for child in set(ending).intersection(self.family.members):
            child.kill(clocks.boot())


def boot_id() -> str:
    """Return the kernel's random id of this boot, nothing where /proc does not give it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read(64).strip()
    except OSError:
        return ""


def random_share() -> float:
    """Return a number from 0 to 1."""
    return int.from_bytes(os.urandom(4), "big") / (1 << 32)


def _ms(seconds: float) -> str:
    return str(int(seconds * 1000))


def _noted(_number: int, _frame: object) -> None:
    """Do nothing: the loop hears of the signal from the pipe."""
