"""Columns that the configuration leaves out: null in every row, and the table's header says so.

A table is changed before it is read: its collector's rows lose the columns inside the collecting child, so that what
was dropped never leaves it. The header is a blob that each signed statement names, so whoever reads null in such a
column reads beside it that nobody looked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Annotated, Any

import msgspec

from collectors.contract import Gap, Row, Table, header_of, means
from collectors.reading.host import Host

DROPPED = "not collected, by configuration (privacy.drop); else: "
"""What the meaning of a dropped column begins with."""


def without(tables: Sequence[Table], drop: Collection[str]) -> list[Table]:
    """Return tables that leave out the columns named `TABLE.COLUMN`; what is named for other tables is of no concern.

    Raises: ValueError for a column that the table does not have, that is its key, or that cannot be null.
    """
    return [
        _narrowed(each, {name.partition(".")[2] for name in drop if name.startswith(f"{each.name}.")})
        for each in tables
    ]


def dropped_of(table: Table) -> list[str]:
    """Return the columns that a table leaves out, as `TABLE.COLUMN`: what `without` was given for it."""
    return [f"{table.name}.{each.name}" for each in header_of(table).fields if each.meaning.startswith(DROPPED)]


def _narrowed(table: Table, dropped: set[str]) -> Table:
    if not dropped:
        return table
    nullable = {each.name for each in header_of(table).fields if each.nullable} - set(table.key)
    if dropped - nullable:
        names = ", ".join(sorted(dropped - nullable))
        raise ValueError(f"{table.name}: expected columns that may be null, found {names}")
    row = _row_without(table.row, dropped)

    def collect(host: Host) -> Iterator[Row | Gap]:
        return _rows_without(table.collect(host), row, dropped)

    return msgspec.structs.replace(table, row=row, collect=collect)


def _rows_without(items: Iterable[Row | Gap], row: type[Row], dropped: set[str]) -> Iterator[Row | Gap]:
    for item in items:
        if isinstance(item, Gap):
            yield item
        else:
            values = {name: getattr(item, name) for name in item.__struct_fields__ if name not in dropped}
            yield row(**values, **dict.fromkeys(dropped))


def _row_without(row: type[Row], dropped: set[str]) -> type[Row]:
    """Return a row type of the same columns, of which the dropped ones say that nobody looked."""
    hints = msgspec.structs.fields(row)
    fields: list[tuple[str, Any]] = [
        (each.name, _unseen(each.type) if each.name in dropped else each.type) for each in hints
    ]
    narrowed: Any = msgspec.defstruct(
        row.__name__,
        fields,
        bases=(Row,),
        namespace={"__doc__": row.__doc__},
        module=row.__module__,
        frozen=True,
        kw_only=True,
    )
    return narrowed  # type: ignore[no-any-return]  # defstruct cannot say that its base is Row


def _unseen(annotation: Any) -> Any:
    """Return the annotation of a column that nobody looks at: the same type and marks, another meaning."""
    (meta,) = (each for each in annotation.__metadata__ if isinstance(each, msgspec.Meta))
    extra = meta.extra or {}
    meaning = DROPPED + str(meta.description)
    told = means(meaning, unit=extra["unit"], personal=extra["personal"], time=extra["time"])
    return Annotated[annotation.__origin__, told]
