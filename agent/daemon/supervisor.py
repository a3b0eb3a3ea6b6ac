"""The resident part: it waits, and starts what is due. It opens nothing of the host and parses nothing of others."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time

from agent.daemon import children, clocks, hints, reporting, rights
from agent.daemon.children import Child, Order
from agent.daemon.notify import Notify
from agent.daemon.parts import LATER, Part, answers
from agent.daemon.pending import Pending
from agent.daemon.plan import LIMIT as PLAN_LIMIT
from agent.daemon.plan import Plan, PlanError, read_plan
from agent.daemon.pressure import Pause
from agent.daemon.results import Reading, Result
from agent.daemon.schedule import NEVER, Run, Schedule
from agent.daemon.settings import Settings
from agent.daemon.watching import OVERFLOW, Watching

MOST_STUCK = 3
"""Children that hang in the kernel and are left behind; after that, their tables are not tried."""
RUN_LIMIT_S = {"file": 1800.0, "process": 900.0, "sweep": 7200.0, "": 120.0}
"""What a run may take in all, by its kind; each child has limits of its own within it."""
PLAN_LIMIT_S = 60.0
PART_LIMIT_S = 86400.0
UPLOAD_LIMIT_S = 6 * 3600.0
GRACE_S = 2.0
"""At the end: for a run to break off, and for a part to end."""
GOODBYE_S = 5.0
"""At the end: for the last event to be signed."""
EVENT_WAIT_S = 2.5
"""An event waits so long for a run to go with."""
EVENT_DISTANCE_S = 60.0
"""Runs for events alone are no closer to each other, but for the first."""
REST_S = 0.25
"""After changes were noted, the queue fills for so long: a storm then costs few looks."""
IDLE_REST_S = 1.0
"""The same, if they concerned nothing that is read."""
REARM_S = 20.0
"""After the clock was set, it is not asked again for so long: some set it every second."""
DELIVERY_S = 900.0
"""While something waits in the outbox, the uploader is nudged again at the latest."""
LATER_LIMIT_S = 3600.0
STATUS_S = 2.0
"""The status file is written no more often."""
READABLE = select.POLLIN


class Stuck:
    """A child that hangs in the kernel, and the table it was reading."""

    def __init__(self, table: str, pid: int, since: float) -> None:
        self.table = table
        self.pid = pid
        self.since = since
        self.pidfd = os.pidfd_open(pid)


class Supervisor:
    """All that is resident."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self.settings = settings
        self.plan = plan
        self.plan_problem = ""
        self.pid = os.getpid()
        self.began = clocks.boot()
        self.under_systemd = answers(os.path.join(settings.run, "sign.sock"))
        self.separate = self.under_systemd or bool(settings.users)
        self.pause = Pause(settings.pressure)
        self.schedule = Schedule(plan.tables.values(), plan.jitter_s, self.began, _random)
        self.watching = Watching(plan.watches)
        self.pending = Pending()
        self.readings: dict[str, Reading] = {}
        self.read_at: dict[str, float] = {}
        self.children: list[Child] = []
        self.stuck: list[Stuck] = []
        self.parts: list[Part] = []
        self.last_signed = ""
        self.signed_at = self.began
        self._results: dict[int, Result] = {}
        self._notify = Notify()
        self._boot_id = _boot_id()
        self._changes = clocks.Changes(time.time(), self.began, time.monotonic())
        self._due_timer, self._set_timer = clocks.Timer(clocks.CLOCK_BOOTTIME), clocks.Timer(clocks.CLOCK_REALTIME)
        self._poll = select.poll()
        self._polled: set[int] = set()
        self._rest_until = self._rearm_at = 0.0
        self._paused_until = 0.0
        self._written_at, self._status_due = 0.0, NEVER
        self._tell_at = self.began
        self._event_run_at = 0.0
        self._deliver_at = NEVER
        self._degraded = ""
        self._stopping = False
        self._wake, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(each, _noted)

    def run(self) -> int:
        """Work until asked to stop, and return the exit code."""
        self._remember()
        self._listen()
        self._set_clock_watch()
        self.pending.add("agent-started", self.plan.digest, due=self.began + EVENT_WAIT_S)
        self._notify.tell("READY=1")
        self._note_watches(self.began)
        while not self._stopping:
            self._turn()
        return self._stop()

    def _turn(self) -> None:
        """Begin what is due, then wait for the next thing to happen, and hear it."""
        now = clocks.boot()
        self._begin_due(now)
        self._tend(now)
        self._due_timer.set(self._next_time())
        ready = self._wait()
        now = clocks.boot()
        for kind, first, last in self._changes.noticed(time.time(), now, time.monotonic()):
            self.pending.add(kind, _ms(first), _ms(last), due=now + EVENT_WAIT_S)
        self._hear(ready, now)

    # What there is to wait for

    def _wait(self) -> set[int]:
        """Wait for any descriptor, and return those that are ready."""
        wanted = {self._wake, self._due_timer.fd, self._set_timer.fd}
        wanted |= {fd for child in self.children for fd in (child.pidfd, child.pipe) if fd >= 0}
        wanted |= {each.pidfd for each in self.stuck}
        now = clocks.boot()
        if self.watching.fd >= 0 and now >= self._rest_until:
            wanted.add(self.watching.fd)
        for part in self.parts:
            if part.socket is not None and part.child is None and now >= part.not_before:
                wanted.add(part.socket.fileno())
        for fd in self._polled - wanted:
            self._poll.unregister(fd)
        for fd in wanted - self._polled:
            self._poll.register(fd, READABLE)
        self._polled = wanted
        return {fd for fd, _ in self._poll.poll()}

    def _next_time(self) -> float:
        """Return when there is something to do though nothing happens."""
        busy = {child.order.purpose for child in self.children}
        times = [max(self.schedule.next_time(busy), self._paused_until), self._event_time(), self._status_due]
        times += [child.next_time() for child in self.children]
        times += [part.not_before for part in self.parts if part.child is None and part.restarts]
        times += [self._deliver_at if "upload" not in busy else NEVER, self._tell_at]
        if self._rest_until > clocks.boot():
            times.append(self._rest_until)
        if self._rearm_at:
            times.append(self._rearm_at)
        return min(times)

    def _event_time(self) -> float:
        """Return when a run for events alone is due."""
        if any(child.order.events for child in self.children):
            return NEVER
        heartbeat = self.signed_at + self.plan.heartbeat_s
        if self.schedule.held:
            return self.schedule.held_until
        pending = max(self.pending.due, self._event_run_at + EVENT_DISTANCE_S if self._event_run_at else 0.0)
        return min(heartbeat, pending)

    # What is begun

    def _begin_due(self, now: float) -> None:
        if self.schedule.held:
            if now >= self.schedule.held_until and self._event_time() <= now:
                self._begin_events(now)  # whether signing works again is tried with little first
            return
        busy = {child.order.purpose for child in self.children}
        if self.schedule.next_time(busy) <= now and not self._is_paused(now):
            for kind in ("file", "sweep", "process"):
                run = None if kind in busy else self.schedule.take(kind, now)
                if run is not None:
                    self._begin_run(run, now)
        if self._event_time() <= now:
            self._begin_events(now)

    def _is_paused(self, now: float) -> bool:
        again = self.pause.until(self.plan.pressure, self.plan.pause_limit_s, now)
        self._paused_until = 0.0 if again is None else again
        if again is not None:
            self._status_soon(now)
        return again is not None

    def _begin_run(self, run: Run, now: float) -> None:
        hanging = {each.table for each in self.stuck} if len(self.stuck) >= MOST_STUCK else set()
        promise = {name: self.plan.tables[name].interval_s for name in run.tables}
        good = ",".join(f"{name}={promise[name]}" for name in run.tables if name not in hanging)
        bad = ",".join(f"{name}={promise[name]}" for name in run.tables if name in hanging)
        words = ["--reason", run.reason]
        words += ["--tables", good] if good else []
        words += ["--hanging", bad] if bad else []
        order = self._collecting(run.kind, words)
        order.tables = run.tables
        order.capabilities = rights.PROCESS_READER if run.kind == "process" else rights.FILE_READER
        order.sees_mounts = True
        self.schedule.begun(run.tables, now)
        if not self._start(order, now):
            self.schedule.unsigned(run.tables, now)

    def _begin_events(self, now: float) -> None:
        if not self.pending:
            self.pending.add("heartbeat", due=now)
        self._event_run_at = now
        if not self._start(self._collecting("", []), now):
            self.schedule.unsigned((), now)

    def _collecting(self, kind: str, words: list[str]) -> Order:
        """Return the order of a run, with all events that wait if no other run has them."""
        events = () if any(child.order.events for child in self.children) else self.pending.words()
        words = self.settings.command("_collect", *words, *(each for event in events for each in ("--event", event)))
        order = Order(kind or "events", words, RUN_LIMIT_S[kind])
        order.events = events
        order.user = self.settings.users.get("collect")
        return order

    def _start(self, order: Order, now: float) -> Child | None:
        try:
            child = children.start(order, now)
        except OSError as error:
            _say(f"{order.purpose}: could not be started: {error.strerror}")
            return None
        self.children.append(child)
        self._results[child.pid] = Result()
        self._status_soon(now)
        return child

    # What is heard

    def _hear(self, ready: set[int], now: float) -> None:
        self._hear_kernel(ready, now)
        for child in list(self.children):
            if child.pipe in ready or child.pidfd in ready:
                self._listen_to(child, now)
        for each in list(self.stuck):
            if each.pidfd in ready:
                self._freed(each, now)
        for part in self.parts:
            if part.socket is not None and part.child is None and part.socket.fileno() in ready:
                self._start_part(part, now)

    def _hear_kernel(self, ready: set[int], now: float) -> None:
        if self._due_timer.fd in ready:
            self._due_timer.clear()
        if self._set_timer.fd in ready and self._set_timer.clear():
            self._rearm_at = now + REARM_S
        if self._wake in ready:
            self._heed(os.read(self._wake, 64), now)
        if self.watching.fd in ready:
            self._note_changes(now)

    def _heed(self, signals: bytes, now: float) -> None:
        for number in signals:
            if number in {signal.SIGTERM, signal.SIGINT}:
                self._stopping = True
            elif number == signal.SIGHUP:
                self._ask_for_plan(now)
            elif number == signal.SIGUSR1:
                self.schedule.wanted(now)
                self._paused_until = 0.0

    def _note_changes(self, now: float) -> None:
        overflows = self.watching.overflows
        tables = self.watching.changed()
        self.schedule.changed(tables, now)
        self._rest_until = now + (REST_S if tables else IDLE_REST_S)
        if self.watching.overflows > overflows:
            self._degraded = OVERFLOW
            self.pending.add("watches-degraded", "overflow", due=now + EVENT_WAIT_S)
            self._status_soon(now)
        self._note_watches(now)

    def _note_watches(self, now: float) -> None:
        """Record it when changes can no longer be noticed as they happen."""
        problem = self.watching.degraded
        if problem and problem != self._degraded:
            _say(f"watches: {problem}; what is not watched is read by the schedule")
            self.pending.add("watches-degraded", "too-many", due=now + EVENT_WAIT_S)
        if problem != self._degraded:
            self._status_soon(now)
        self._degraded = problem

    def _listen_to(self, child: Child, now: float) -> None:
        result = self._results[child.pid]
        code = child.status()  # asked first: what it said before it ended is then all in the pipe
        child.hear()
        if child.order.purpose not in {"plan", "upload", "sign"}:
            for line in child.lines():
                self._take_line(child, result, line, now)
        if code is None:
            return
        self._part_with(child)
        self._ended(child, code, result, now)
        self._status_soon(now)

    def _part_with(self, child: Child) -> None:
        self.children.remove(child)
        self._forget(child.pidfd, child.pipe)
        child.close()
        del self._results[child.pid]

    def _forget(self, *fds: int) -> None:
        """Unregister descriptors before they are closed and their numbers used again."""
        for fd in self._polled.intersection(fds):
            self._poll.unregister(fd)
            self._polled.discard(fd)

    def _take_line(self, child: Child, result: Result, line: str, now: float) -> None:
        events, hanging = result.events, len(result.stuck)
        result.take(line)
        if result.events > events:
            self.pending.signed(result.events - events)
        for table, pid in result.stuck[hanging:]:
            with contextlib.suppress(OSError):  # it ended after all
                self.stuck.append(Stuck(table, pid, now))
                self.pending.add("table-stuck", table, due=now + EVENT_WAIT_S)
        if result.signed and child.order.tables:
            for name, reading in result.readings.items():
                if name in child.order.tables:
                    self.readings[name], self.read_at[name] = reading, child.began

    def _ended(self, child: Child, code: int, result: Result, now: float) -> None:
        """Note how a child ended, by what it was."""
        purpose = child.order.purpose
        if purpose == "plan":
            self._take_plan(code, bytes(child.held), now)
        elif purpose in {"sign", "upload"}:
            self._part_ended(child, code, now)
        elif code == LATER or (not result.signed and not child.order.tables):
            self.schedule.unsigned(child.order.tables, now)
        elif not result.signed:
            self.schedule.lost(child.order.tables, now)
        else:
            self._was_signed(child, result, now)

    def _was_signed(self, child: Child, result: Result, now: float) -> None:
        self.schedule.signed()
        self.last_signed, self.signed_at = result.signed, now
        for name in child.order.tables:
            reading = result.readings.get(name)
            self.schedule.ended(name, now, failed=reading is None or reading.coverage == "failed")
        if child.order.tables:
            hints.save(self.settings.cache, self._boot_id, self.read_at)
            self.schedule.changed(self._watch_homes(result), now)
            self._note_watches(now)
        if self.plan.upload:
            self._deliver_at = min(self._deliver_at, now)

    def _watch_homes(self, result: Result) -> set[str]:
        """Watch below the homes that this run found, if it looked for them."""
        return self.watching.homes(result.homes) if "users" in result.readings else self.watching.renew()

    def _freed(self, stuck: Stuck, now: float) -> None:
        self.stuck.remove(stuck)
        self._forget(stuck.pidfd)
        os.close(stuck.pidfd)
        self.schedule.changed((stuck.table,), now)
        self._status_soon(now)

    # The plan

    def _ask_for_plan(self, now: float) -> None:
        """Have the configuration read again."""
        if self.settings.plan:
            self._take_plan(0, read_limited(self.settings.plan), now)
        elif not any(child.order.purpose == "plan" for child in self.children):
            self._notify.tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
            if self._start(Order("plan", self.settings.command("_plan"), PLAN_LIMIT_S), now) is None:
                self._notify.tell("READY=1")

    def _take_plan(self, code: int, data: bytes, now: float) -> None:
        try:
            plan = plan_said(code, data)
        except PlanError as error:
            self.plan_problem = f"{error}"
            _say(f"{error}; the plan before stays in force")
        else:
            self.plan_problem = ""
            if plan.digest != self.plan.digest:
                self.pending.add("config-changed", "", plan.digest, due=now + EVENT_WAIT_S)
            self._follow(plan, now)
        self._notify.tell("READY=1")

    def _follow(self, plan: Plan, now: float) -> None:
        before, self.plan = self.schedule, plan
        self.schedule = Schedule(plan.tables.values(), plan.jitter_s, now, _random)
        self.schedule.carried(before)
        self._forget(self.watching.fd)
        self.watching.close()
        self.watching = Watching(plan.watches)
        self.schedule.changed({name for each in plan.watches.values() for name in each}, now)
        self._note_watches(now)
        self._status_soon(now)

    # Signer and uploader

    def _listen(self) -> None:
        """Listen for signer and uploader where nobody else does."""
        for name in () if self.under_systemd else ("sign", "upload"):
            part = Part(name, f"_{name}", self.settings.users.get(name))
            part.listen(self.settings.run, owner=self._socket_owner(name))
            self.parts.append(part)

    def _socket_owner(self, name: str) -> tuple[int, int] | None:
        collect, own = self.settings.users.get("collect"), self.settings.users.get(name)
        if collect is None or own is None:
            return None
        group = self.settings.record_gid
        return collect.uid, own.gid if name != "sign" or group is None else group

    def _start_part(self, part: Part, now: float) -> None:
        upload = part.name == "upload"
        order = Order(part.name, self.settings.command(part.command), UPLOAD_LIMIT_S if upload else PART_LIMIT_S)
        order.user = part.user
        order.listens = None if part.socket is None else part.socket.fileno()
        order.dies_with_us = False
        child = self._start(order, now)
        if child is None:
            part.ended(1, now)
        else:
            part.started(child)

    def _part_ended(self, child: Child, code: int, now: float) -> None:
        for part in self.parts:
            if part.child is child:
                part.ended(code, now)
        if child.order.purpose == "upload":
            said = bytes(child.held).decode("ascii", "replace").strip()
            wait = min(float(said), LATER_LIMIT_S) if code == LATER and said.isdigit() and len(said) < 9 else None  # noqa: PLR2004
            self._deliver_at = NEVER if code == 0 else now + (DELIVERY_S if wait is None else wait)
        elif code not in {0, LATER}:
            _say(f"{child.order.purpose}: ended with {code}")

    def _deliver(self, now: float) -> None:
        """Start the uploader, or have systemd start it."""
        self._deliver_at = NEVER
        if self.under_systemd:
            answers(os.path.join(self.settings.run, "upload.sock"))
            self._deliver_at = now + DELIVERY_S if self._waits() else NEVER
            return
        for part in self.parts:
            if part.name == "upload" and part.child is None:
                self._start_part(part, now)

    def _waits(self) -> bool:
        """Return whether batches wait in the outbox."""
        try:
            with os.scandir(self.settings.outbox) as names:
                return any(names)
        except OSError:
            return False

    # What is done now and then

    def _tend(self, now: float) -> None:
        """Kill what takes too long, arm what rested, and tell systemd and whoever asks."""
        for child in list(self.children):
            if child.overdue(now):
                self._overdue(child, now)
        if self._rearm_at and now >= self._rearm_at:
            self._set_clock_watch()
        if self._deliver_at <= now and not any(child.order.purpose == "upload" for child in self.children):
            self._deliver(now)
        if self._tell_at <= now:
            self._notify.tell("WATCHDOG=1")
            self._tell_at = now + self._notify.every_s
        if self._status_due <= now:
            self._status_due, self._written_at = NEVER, now
            reporting.write(self)

    def _overdue(self, child: Child, now: float) -> None:
        if child.killed_at is None:
            _say(f"{child.order.purpose}: took longer than {child.order.limit_s:g} s and was ended")
            child.kill(now)
            return
        self._part_with(child)  # it hangs in the kernel; whoever adopts it will see it end
        _say(f"{child.order.purpose}: process {child.pid} hangs in the kernel and was left behind")
        for table in child.order.tables or ("",):
            with contextlib.suppress(OSError):
                self.stuck.append(Stuck(table, child.pid, now))
        self.schedule.lost(child.order.tables, now)

    def _set_clock_watch(self) -> None:
        self._rearm_at = 0.0
        self._set_timer.set(clocks.FAR_S, clocks.TFD_TIMER_CANCEL_ON_SET)

    def _status_soon(self, now: float) -> None:
        self._status_due = min(self._status_due, max(now, self._written_at + STATUS_S))

    def _remember(self) -> None:
        """Read later what was read not long ago, unless its changes since then went unnoticed."""
        watched = {name for each in self.plan.watches.values() for name in each}
        for name, moment in hints.load(self.settings.cache, self._boot_id).items():
            if name not in watched:
                self.schedule.remembered(name, moment, self.began)
                self.read_at[name] = min(moment, self.began)

    # The end

    def _stop(self) -> int:
        """Break off what runs, sign that the agent stops, and end the other parts."""
        self._notify.tell("STOPPING=1")
        runs = [child for child in self.children if child.order.purpose not in {"sign", "upload"}]
        self._end(runs, GRACE_S)
        now = clocks.boot()
        self.pending.add("agent-stopped", due=now)
        last = self._start(self._collecting("", []), now)
        self._end([] if last is None else [last], GOODBYE_S, ask=False)
        for part in self.parts:
            if part.socket is not None:
                self._forget(part.socket.fileno())
            part.close()
        self._end(list(self.children), GRACE_S)
        for name in (reporting.NAME,):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self.settings.run, name))
        return 0

    def _end(self, ending: list[Child], grace_s: float, *, ask: bool = True) -> None:
        """Wait for children to end, ask them to if told so, and kill those that do not in time."""
        for child in ending if ask else []:
            child.ask()
        until = clocks.boot() + grace_s
        while clocks.boot() < until and any(child in self.children for child in ending):
            self._due_timer.set(until)
            self._hear(self._wait(), clocks.boot())
        for child in ending:
            if child in self.children:
                child.kill(clocks.boot())


def plan_said(code: int | None, data: bytes) -> Plan:
    """Return the plan that `_plan` printed before it ended. Raises: PlanError."""
    if code != 0:
        raise PlanError("plan: the configuration has problems; see evidenced config check")
    return read_plan(data)


def read_limited(path: str) -> bytes:
    """Return the plan in a file, and of one without end no more than is needed to refuse it."""
    fd = os.open(path, os.O_RDONLY)
    try:
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(PLAN_LIMIT + 1)
    finally:
        os.close(fd)


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read(64).strip()
    except OSError:
        return ""


def _random() -> float:
    return int.from_bytes(os.urandom(4), "big") / (1 << 32)


def _ms(seconds: float) -> str:
    return str(int(seconds * 1000))


def _noted(_number: int, _frame: object) -> None:
    """Heed a signal where the loop reads it."""


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"evidenced run: {text}\n".encode("utf-8", "replace"))
