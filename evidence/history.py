"""The rows of every log of a state, from the index or, where that cannot be believed, from the segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evidence import entry, identity, keyring, scan, signed_size
from evidence.errors import DamageError
from evidence.index import Row
from evidence.index_file import IndexFile
from evidence.layout import Layout
from evidence.note import Checkpoint
from evidence.order import log_ids, origin_of
from evidence.recovery import open_segments, usable
from evidence.state import Folder
from evidence.tree import Frontier


def all_rows(layout: Layout, index: IndexFile) -> Iterator[tuple[str, list[Row]]]:
    """Yield each log, oldest first, with the rows of its entries up to its checkpoint.

    A log whose rows cannot be had whole yields what there is.
    """
    for log_id in log_ids(layout.logs, identity.current_log(layout.keys)):
        yield log_id, rows_of(layout, index, log_id)


def rows_of(layout: Layout, index: IndexFile, log_id: str) -> list[Row]:
    """Return the rows of one log, as far as they can be had."""
    log = layout.logs.folder(log_id)
    try:
        return _rows(layout, index, log, log_id)
    finally:
        log.close()


def trees_at(rows: Sequence[Row], signed: Checkpoint, sizes: Sequence[int]) -> list[Frontier]:
    """Return the tree of a log at each of some sizes, which rise and are none larger than what was signed.

    Raises: DamageError unless the rows give the signed root.
    """
    tree = Frontier()
    found = []
    for size in (*sizes, signed.size):
        for row in rows[tree.size : size]:
            tree.append(row.leaf)
        found.append(tree.copy())
    if (tree.size, tree.root()) != (signed.size, signed.root):
        raise DamageError(f"log {signed.origin}", "leaves that give the signed root", "others")
    return found[:-1]


def _rows(layout: Layout, index: IndexFile, log: Folder, log_id: str) -> list[Row]:
    origin = origin_of(log_id)
    try:
        key = keyring.public(layout.keys, log, log_id.partition("-")[0])
        signed = signed_size.read(log, origin, key)
    except (FileNotFoundError, DamageError):
        return index.rows(log_id)
    rows = usable(index.rows(log_id), signed)
    if len(rows) < signed.size:
        rows = _scanned(log, origin)[: signed.size]
        if len(usable(rows, signed)) == signed.size:
            index.add(log_id, 0, rows)
    return rows


def _scanned(log: Folder, origin: str) -> list[Row]:
    """Return the rows of what can be read from the segments."""
    rows = []
    segments = open_segments(log)
    try:
        firsts: list[int | None] = [*scan.firsts(segments)]
        for first, behind in zip(firsts, [*firsts[1:], None], strict=True):
            frames = scan.read(segments, origin, first or 0).frames
            rows += [
                entry.row_of(each, first or 0) for at, each in sorted(frames.items()) if behind is None or at < behind
            ]
    finally:
        segments.close()
    return rows
