"""The log as commands use it: opened under its lock or read without, errors told with the right exit code."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agent.errors import CommandError
from evidence.errors import EvidenceError
from evidence.log import EvidenceStore
from evidence.reader import StoreReader
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
        with StoreReader(state) as reader:
            yield reader
    except EvidenceError as error:
        raise CommandError(str(error)) from error


def secret_of(state: str, *, make: bool, clock: ClockReader) -> bytes:
    """Return the secret that keys this host's pseudonyms; a one-time secret where there is none and none is made.

    `make` opens the log, which creates it and its key at first use: so that a log that cannot be written is known
    before the host is read, and not after.
    """
    if make:
        with opened(state, machine=None, clock=clock) as store:
            return store.secret
    if not os.path.isdir(state):
        return secrets.token_bytes(32)
    with reading(state) as reader:
        return reader.secret() or secrets.token_bytes(32)
