"""Any bytes as a plan: one that the supervisor can follow, or refused with a line that quotes nothing."""

from __future__ import annotations

from agent.daemon.plan import KINDS, PlanError, is_watchable, read_plan

GOOD = (
    b"config\t" + b"0a" * 32 + b"\nheartbeat\t3600\njitter\t0\npressure\t0\t0\t0\npause_limit\t0\nupload\t1\n"
    b"table\tusers\t3600\t5\tfile\nwatch\t/etc/passwd\tusers\n"
)


def target(data: bytes) -> None:
    for text in (data, GOOD + data, GOOD.replace(b"3600", data[:20] or b"1")):
        try:
            plan = read_plan(text)
        except PlanError:
            continue
        assert all(each.interval_s >= 1 and each.kind in KINDS for each in plan.tables.values())
        assert all(is_watchable(path) and set(names) <= plan.tables.keys() for path, names in plan.watches.items())
