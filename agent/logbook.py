"""The log as commands use it: opened under its lock or read without, errors told with the right exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from evidence.log import EvidenceStore
from evidence.reader import StoreReader

from agent.errors import CommandError
from evidence.errors import EvidenceError
from evidence.statement import Clock

ClockReader = Callable[[], Clock]


@contextmanager
def opened(state: str, *, machine: str | None, clock: ClockReader) -> Iterator[EvidenceStore]:
    """Open the log to write; it is created at first use. CommandError if it cannot be used."""
    try:
        with EvidenceStore.open(state, machine=machine, clock=clock) as store:
            yield store
    except EvidenceError as error:
        raise CommandError(str(error)) from error


@contextmanager
def reading(state: str) -> Iterator[StoreReader]:
    """Open the log to read; needs no lock and writes nothing."""
    try:
        yield EvidenceStore.read(state)
    except EvidenceError as error:
        raise CommandError(str(error)) from error
