"""The index as the store uses it: never in the way. What is wrong with it costs time, not entries."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from evidence import index
from evidence.errors import DamageError
from evidence.index import Index, Row
from evidence.layout import Layout
from evidence.quarantine import Finding


class IndexFile:
    """The index of a state: opened, rebuilt if it is damaged, done without if the disk refuses it."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._index: Index | None = None
        with self._kept_going():
            self._index = Index(layout.root)

    def close(self) -> None:
        """Close it."""
        if self._index is not None:
            self._index.close()
        self._index = None

    def rows(self, log: str) -> list[Row]:
        """Return the rows of a log; none if there is no index to be believed."""
        rows: list[Row] = []
        with self._kept_going():
            if self._index is not None:
                rows = list(self._index.rows(log))
        return rows

    def add(self, log: str, first: int, rows: list[Row]) -> None:
        """Keep rows from a sequence on."""
        with self._kept_going():
            if self._index is not None:
                self._index.add(log, first, rows)

    def note(self, name: str) -> str | None:
        """Return a remembered hint."""
        value = None
        with self._kept_going():
            if self._index is not None:
                value = self._index.note(name)
        return value

    def remember(self, name: str, value: str) -> None:
        """Remember a hint that is safe to lose."""
        with self._kept_going():
            if self._index is not None:
                self._index.remember(name, value)

    @contextlib.contextmanager
    def _kept_going(self) -> Iterator[None]:
        """Pass over what goes wrong: damage sets the file aside and begins a new one, the rest leaves it alone."""
        try:
            yield
        except (sqlite3.OperationalError, OSError):
            self.close()  # a full or failing disk: what is missing is read from the segments next time
        except (sqlite3.DatabaseError, DamageError) as error:
            self.close()
            self._set_aside(
                "rows that are not as they were written" if isinstance(error, DamageError) else "no database"
            )

    def _set_aside(self, found: str) -> None:
        finding = Finding(part="index", where=index.NAME, found=found)
        self._layout.quarantine.take(self._layout.root, index.NAME, finding)
        for name in index.SIDE_FILES:
            self._layout.root.remove(name)
        with contextlib.suppress(sqlite3.Error, OSError):
            self._index = Index(self._layout.root)
