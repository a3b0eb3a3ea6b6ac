"""Since when there was no agent, by what it signed last: derived by the signer, believed of nobody.

Whoever stops the agent could otherwise explain any gap away with a word of his own.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.signing.kinds import OF_THE_AGENT
from agent.signing.protocol import Absence
from evidence.predicates import Clock, Snapshot, Statement
from evidence.reader import StoreReader

STEP = 256
"""Entries that are read at a time, backwards."""
FARTHEST = 4096
"""Entries that are looked at: so many by hand, one behind the other, and it is not known since when."""


def gone_since(reader: StoreReader, clock: Clock) -> dict[str, str] | None:
    """Return the absence that ends now, or None if there was no agent before or the clock says so.

    It begins with the last entry of the agent. Another boot since then: `host-off`; the same one, or nobody knows:
    `agent-off`.
    """
    last = last_of_agent(reader)
    if last is None:
        return None
    known = None not in (last.boot_id, clock.boot_id)
    reason = "host-off" if known and last.boot_id != clock.boot_id else "agent-off"
    return between(_second(last.wall), _second(clock.wall), reason)


def within(claimed: Absence, last: Clock | None, clock: Clock) -> dict[str, str] | None:
    """Return what of a claimed absence can be true: none of it before the agent's last entry, none of it to come."""
    since = claimed.since if last is None else max(claimed.since, _second(last.wall))
    return between(since, min(claimed.until, _second(clock.wall)), claimed.reason)


def between(since: str, until: str, reason: str) -> dict[str, str] | None:
    """Return an absence, or None where a clock that was set back leaves no time for one."""
    return {"from": since, "reason": reason, "until": until} if since <= until else None


def last_of_agent(reader: StoreReader) -> Clock | None:
    """Return the clocks of the newest entry that the running agent had signed; None if there is none."""
    for statement in _backwards(reader):
        if _is_of_agent(statement):
            return statement.predicate.clock
    return None


def _is_of_agent(statement: Statement) -> bool:
    """Return whether the agent was running when this was signed: what is done by hand needs none."""
    if isinstance(statement, Snapshot):
        return statement.predicate.run.reason != "by-hand"
    return statement.kind in OF_THE_AGENT


def _backwards(reader: StoreReader) -> Iterator[Statement]:
    """Yield what the newest entries say, newest first, over all logs; lost ones say nothing."""
    left = FARTHEST
    for log in reversed(reader.logs()):
        stop = log.size
        while stop > 0 and left > 0:
            start = max(0, stop - min(STEP, left))
            left -= stop - start
            found = [each.statement for each in reader.entries(log.id, start, stop)]
            yield from (each for each in reversed(found) if each is not None)
            stop = start


def _second(wall: str) -> str:
    return wall[: len("2026-01-31T07:00:00")] + "Z"
