"""The inventory as a person reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from agent.collection.receiver import Collection
from agent.terminal import counted, seconds, thousands
from collectors.contract import Gap
from program.text import columns, printable

SOURCES_SHOWN = 3


def table_lines(collections: Sequence[Collection]) -> list[str]:
    """Return one line a table: rows, gaps, coverage, time."""
    rows = [("table", "rows", "gaps", "coverage", "time")]
    for each in collections:
        gaps = sum(each.reasons.values())
        known = each.coverage in {"complete", "partial"}
        rows.append(
            (
                each.table.name,
                thousands(len(each.rows)) if known else "-",
                thousands(gaps) if gaps else "-",
                each.coverage,
                seconds(each.cost.wall_ms),
            )
        )
    return columns(rows, right=frozenset((1, 2, 4)))


def total_line(collections: Sequence[Collection], elapsed_ms: int) -> str:
    """Return the inventory in one line."""
    states = Counter(each.coverage for each in collections)
    parts = [f"{states[state]} {state}" for state in ("complete", "partial", "failed", "unsupported") if states[state]]
    count = sum(len(each.rows) for each in collections)
    gaps = sum(sum(each.reasons.values()) for each in collections)
    return (
        f"{counted(len(collections), 'table')}: {', '.join(parts)} · {counted(count, 'row')} · "
        f"{counted(gaps, 'gap')} · {seconds(elapsed_ms)}"
    )


def gap_lines(collections: Sequence[Collection]) -> list[str]:
    """Return what was not read: failed tables with their reason, then gaps by table and reason with examples."""
    lines = [
        f"  {each.table.name}: {each.coverage}: {printable(each.failure)}"
        for each in collections
        if each.failure is not None
    ]
    rows = [
        (f"  {each.table.name}", reason, thousands(count), _examples(each.gaps, reason))
        for each in collections
        for reason, count in sorted(each.reasons.items())
        if each.failure is None or reason != each.coverage  # that gap is the line above
    ]
    return [*lines, *(columns(rows, right=frozenset((2,))) if rows else [])]


def _examples(gaps: Sequence[Gap], reason: str) -> str:
    """Return the first sources of a reason, the rest as a count."""
    sources = list(dict.fromkeys(gap.source for gap in gaps if gap.reason == reason))
    text = ", ".join(printable(each, 60) for each in sources[:SOURCES_SHOWN])
    more = len(sources) - SOURCES_SHOWN
    if len(sources) == 1:
        details = {gap.detail for gap in gaps if gap.reason == reason}
        detail = details.pop() if len(details) == 1 else ""
        return f"{text}: {printable(detail, 120)}" if detail else text
    return f"{text} and {thousands(more)} more" if more > 0 else text
