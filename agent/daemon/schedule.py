"""When each table is read: pure arithmetic on seconds since boot, which no change of the wall clock can disturb."""

from __future__ import annotations

from agent.daemon.plan import PlannedTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FIRST_S = 2.0
"""After the start, the first readings."""
QUIET_S = 1.5
"""After the last change of a burst, its reading."""
STORM_S = 45.0
"""After the first change of a burst, its reading at the latest."""
AT_ONCE_S = 30 * STORM_S
"""What a table may be ahead with readings because of changes, each of which counts as STORM_S: thirty of them are read
within seconds, and of changes that never end, such as a user can make in his own home, one in STORM_S."""
RETRY_S = 5.0
"""After a run that signed nothing, the next try; twice as long each time."""
RETRY_LIMIT_S = 900.0
FAILED_S = 300.0
"""After a reading that failed, the next one; twice as long each time, and never later than the interval."""
SLACK_PART = 8
SLACK_LIMIT_S = 900.0
"""A table that would be due within this, or this part of its interval, is read along with those that are."""
NEVER = float("inf")


class TableTimes:
    """One table: when it was read last, and when it is wanted again."""

    __slots__ = ("ahead", "alone", "burst_began", "burst_last", "due", "failures", "plan", "running", "started")

    def __init__(self, plan: PlannedTable, due: float) -> None:
        self.plan = plan
        self.due = due
        self.started: float | None = None
        self.burst_began: float | None = None
        self.burst_last = 0.0
        self.ahead = 0.0
        """Until when the readings that changes brought would have taken at one in STORM_S."""
        self.failures = 0
        self.running = False
        self.alone = False
        """It ended a run badly: it gets one of its own, so that it costs no other table."""

    def change_due(self) -> float:
        """Return when the burst of changes that goes on wants a reading."""
        if self.burst_began is None:
            return NEVER
        return max(min(self.burst_last + QUIET_S, self.burst_began + STORM_S), self.ahead - AT_ONCE_S)

    def start_at(self, *, changed: bool = False) -> float:
        """Return when the next reading may begin, as things stand; or only one that a change asks for."""
        if self.running:
            return NEVER
        wanted = self.change_due() if changed else min(self.due, self.change_due())
        return wanted if self.started is None else max(wanted, self.started + self.plan.distance_s)


class Run:
    """Tables that are read together."""

    __slots__ = ("kind", "reason", "tables")

    def __init__(self, kind: str, reason: str, tables: tuple[str, ...]) -> None:
        self.kind = kind
        self.reason = reason
        self.tables = tables


class Schedule:
    """All tables. `random` gives numbers from 0 to 1."""

    def __init__(
        self, tables: Iterable[PlannedTable], jitter_s: float, now: float, random: Callable[[], float]
    ) -> None:
        self.tables = {each.name: TableTimes(each, now + FIRST_S) for each in tables}
        self.held_until = 0.0
        """Nothing is read before: what was read could not be signed."""
        self._tries = 0
        self._jitter_s = jitter_s
        self._random = random

    def remembered(self, name: str, read_at: float, now: float) -> None:
        """Take from a hint when a table was read last; what lies in the future or far back counts for nothing."""
        table = self.tables.get(name)
        if table is not None and read_at <= now < read_at + table.plan.interval_s:
            table.due = max(table.due, min(read_at, now) + table.plan.interval_s)

    def carried(self, before: Schedule) -> None:
        """Take over what is known of the tables that both plans have."""
        self.held_until, self._tries = before.held_until, before._tries
        for name, old in before.tables.items():
            table = self.tables.get(name)
            if table is None:
                continue
            for field in ("started", "burst_began", "burst_last", "ahead", "failures", "running", "alone"):
                setattr(table, field, getattr(old, field))
            table.due = old.due
            if table.plan.interval_s != old.plan.interval_s:
                began = old.due - old.plan.interval_s if old.started is None else old.started  # by a hint, or not yet
                table.due = min(old.due, began + table.plan.interval_s)

    def changed(self, names: Iterable[str], now: float) -> None:
        """Note that what these tables read has changed."""
        for table in self._named(names):
            if table.burst_began is None:
                table.burst_began = now
            table.burst_last = now

    def wanted(self, now: float, names: Iterable[str] | None = None) -> None:
        """Make tables due, though nobody saw a change: these, or every one, as a person asks."""
        for table in self._named(self.tables if names is None else names):
            table.due = now

    def next_time(self, busy: Iterable[str] = (), *, changed: bool = False) -> float:
        """Return when there is something to begin; kinds that are busy begin nothing. `changed`: by a change only."""
        kinds = frozenset(busy)
        times = (each.start_at(changed=changed) for each in self.tables.values() if each.plan.kind not in kinds)
        return max(min(times, default=NEVER), self.held_until)

    def take(self, kind: str, now: float, *, changed: bool = False) -> Run | None:
        """Return what of a kind is to be read now, or None. Call `begun` if it is. `changed`: by a change only."""
        own = (each for each in self.tables.values() if each.plan.kind == kind)
        ready = [each for each in own if each.start_at(changed=changed) <= now]
        if not ready or now < self.held_until:
            return None
        reason = "change" if any(each.change_due() <= now for each in ready) else "scheduled"
        if ready[0].alone:
            return Run(kind, reason, (ready[0].plan.name,))
        chosen = [each for each in ready if not each.alone]
        if reason == "scheduled":
            chosen += [each for each in self.tables.values() if each not in ready and self._nearly_due(each, kind, now)]
        return Run(kind, reason, tuple(each.plan.name for each in chosen))

    def _nearly_due(self, table: TableTimes, kind: str, now: float) -> bool:
        plan = table.plan
        rested = table.started is None or table.started + plan.distance_s <= now
        slack = min(plan.interval_s / SLACK_PART, SLACK_LIMIT_S)
        return plan.kind == kind and rested and not table.running and not table.alone and table.due - slack <= now

    def begun(self, names: Iterable[str], now: float) -> None:
        """Note that a run begins: changes from now on want another one."""
        share = self._random()
        for table in self._named(names):
            table.running = True
            table.started = now
            if table.burst_began is not None:
                table.ahead = max(table.ahead, now) + STORM_S
            table.burst_began = None
            table.due = now + table.plan.interval_s + share * min(self._jitter_s, table.plan.interval_s / 4)

    def ended(self, name: str, now: float, *, failed: bool) -> None:
        """Note that a table was read and signed; one that failed is read again sooner than its interval says."""
        for table in self._named((name,)):
            table.running = False
            table.alone = False
            table.failures = table.failures + 1 if failed else 0
            if failed:
                table.due = min(table.due, now + min(FAILED_S * 2.0 ** min(table.failures - 1, 20), RETRY_LIMIT_S * 4))

    def lost(self, names: Iterable[str], now: float) -> None:
        """Note that a run broke off: each of its tables is tried alone, later each time."""
        for table in self._named(names):
            table.running = False
            table.alone = True
            table.failures += 1
            table.due = min(table.due, now + min(RETRY_S * 2.0 ** min(table.failures - 1, 20), RETRY_LIMIT_S))

    def unsigned(self, names: Iterable[str], now: float) -> None:
        """Note that nothing could be signed: everything waits, longer each time, and then is due at once.

        Tables of which it is not the first time are tried alone, later each time: signing may work for all but them.
        """
        for table in self._named(names):
            table.running = False
            table.failures += 1
            again = table.failures > 1
            table.alone = table.alone or again
            table.due = now + (min(RETRY_S * 2.0 ** min(table.failures - 1, 20), RETRY_LIMIT_S) if again else 0)
        self._tries += 1
        wait = min(RETRY_S * 2.0 ** min(self._tries - 1, 20), RETRY_LIMIT_S)
        self.held_until = now + wait * (1 + self._random() / 4)

    def signed(self) -> None:
        """Note that signing works."""
        self.held_until, self._tries = 0.0, 0

    @property
    def held(self) -> bool:
        """Return whether the last run could not be signed."""
        return self._tries > 0

    def _named(self, names: Iterable[str]) -> list[TableTimes]:
        return [self.tables[name] for name in names if name in self.tables]
