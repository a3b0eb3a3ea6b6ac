"""The catalogue of tables as text for a terminal and as docs/tables.md."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from collectors.contract import Field, Table, header_of
from program.text import columns

WIDTH = 100
INTRODUCTION = """\
# Tables

Everything that is collected. This page is printed by `evidenced tables --markdown`; CI compares the two.

Every table has a **coverage** (`complete`, `partial` with gaps, `failed`, `unsupported` on this kind of host,
`disabled`), and what could not be read stands in its gaps with a reason. **K** marks the key: no two rows of one
collection agree in it. A column with `?` may be null: absent, which is neither empty nor zero. **P** marks data about
people; see docs/privacy.md. The tables of the one sweep of all local file systems share its time: each says an equal
part of it as its own.

| table | what a row is | read every |
| --- | --- | --- |
"""


NAMED = "files that these name"
LEGEND = "K: no two rows agree in all of these. P: about people. ?: may be absent, which is neither empty nor zero."


def span(seconds: int) -> str:
    """Return a default schedule as people say it, in the largest unit that is exact."""
    sizes = {"d": 86400, "h": 3600, "min": 60}
    unit = next((each for each, size in sizes.items() if seconds % size == 0), "s")
    return f"{seconds // sizes.get(unit, 1)} {unit}"


def listing(tables: Sequence[Table]) -> str:
    """Return one line a table."""
    rows = [("table", "every", "what a row is")]
    rows += [(each.name, span(each.interval_s), each.about) for each in tables]
    return "\n".join(columns(rows))


def page(table: Table) -> str:
    """Return all there is to know of one table, for a terminal."""
    header = header_of(table)
    rows = [(_marks(table, each), each.name, _type(each), each.meaning) for each in header.fields]
    shape = columns([row[:3] for row in rows])
    indent = " " * (max(map(len, shape)) + 4)
    body = [
        textwrap.fill(meaning, WIDTH, initial_indent=f"  {line.ljust(len(indent) - 4)}  ", subsequent_indent=indent)
        for line, (*_, meaning) in zip(shape, rows, strict=True)
    ]
    facts = [
        f"{table.name}, version {table.version}: {table.about}",
        f"reads: {', '.join(_reads(table))}",
        f"needs: {', '.join(table.needs) or 'nothing that an ordinary user lacks'}",
        f"every: {span(table.interval_s)}",
    ]
    if table.watches:
        facts.append(f"watches: {', '.join(table.watches)}")
    if table.care:
        facts.append(table.care)
    text = [textwrap.fill(each, WIDTH, subsequent_indent="  ", break_on_hyphens=False) for each in facts]
    return "\n".join((*text, "", *body, "", LEGEND))


def markdown(tables: Sequence[Table]) -> str:
    """Return docs/tables.md."""
    overview = "".join(f"| [{each.name}](#{each.name}) | {each.about} | {span(each.interval_s)} |\n" for each in tables)
    return INTRODUCTION + overview + "".join(f"\n{_section(each)}" for each in tables)


def _section(table: Table) -> str:
    reads = ", ".join(each if each == NAMED else f"`{each}`" for each in _reads(table))
    needs = ", ".join(table.needs) or "nothing that an ordinary user lacks"
    rows = "".join(
        f"| {_marks(table, each)} | `{each.name}` | {_type(each)} | {cell(each.meaning)} |\n"
        for each in header_of(table).fields
    )
    care = f"{table.care}\n\n" if table.care else ""
    watches = ", ".join(f"`{each}`" for each in table.watches)
    watched = f" Read again when one of these changes: {watches}." if watches else ""
    return (
        f"## {table.name}\n\n{table.about} Version {table.version}, read every {span(table.interval_s)}.\n\n{care}"
        f"Reads {reads}. Needs {needs}.{watched}\n\n| | column | type | meaning |\n| --- | --- | --- | --- |\n{rows}"
    )


def _reads(table: Table) -> tuple[str, ...]:
    """Return what a table reads; the sweep looks at every name and opens only what it must."""
    reads = tuple(NAMED if each == "*" else each for each in table.reads)
    return (*reads, "the one sweep of all local file systems") if table.sweep is not None else reads


def _marks(table: Table, field: Field) -> str:
    return ("K" if field.name in table.key else "") + ("P" if field.personal else "")


def _type(field: Field) -> str:
    unit = f", {field.unit}" if field.unit else ""
    return f"{field.type}{'?' if field.nullable else ''}{unit}"


def cell(text: str) -> str:
    """Return text as it may stand in a cell of a Markdown table."""
    return text.replace("|", "\\|")
