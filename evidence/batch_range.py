"""Which entries go into the next batch, and which blobs they bring: those that no entry before them names.

All of it is asked of index rows, which keep the names of blobs as 32 bytes each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from evidence.index import Row
from evidence.prune import PRUNED

LIMIT_BYTES = 32 * 1024 * 1024
MAX_ENTRIES = 100_000
_FEW = 8
"""Up to so many digests are looked for one by one in a row as it stands, which is faster than to take it apart."""


class Choice(NamedTuple):
    """Entries up to, not including, `size`, and the digests of the blobs that they bring."""

    size: int
    blobs: frozenset[bytes]


class Stored(msgspec.Struct, frozen=True):
    """What is asked of the store beside its rows."""

    size_of: Callable[[bytes], int]
    """How many bytes are kept of a blob; 0 if it is not there."""
    pruned_by: Callable[[Row], frozenset[bytes]]
    """Which blobs a `pruned` event took away."""


def choose(rows: Sequence[Row], first: int, before: Iterable[Row] | None, stored: Stored, limit_bytes: int) -> Choice:
    """Return how far a batch goes that begins with entry `first`: one entry, and more while they fit.

    `rows` are those of its log; `before` are all that stand in front of `first`, newest first, those of earlier
    logs included; None for a batch without blobs. `limit_bytes` is for envelopes, and for blobs as they are stored.
    """
    stop, left = first, limit_bytes
    while stop < min(len(rows), first + MAX_ENTRIES) and (left > 0 or stop == first):
        left -= rows[stop].length
        stop += 1
    new = set() if before is None else brought(rows[first:stop], before, stored)
    taken: set[bytes] = set()
    left = limit_bytes
    for at in range(first, stop):
        more = (rows[at].digests() & new) - taken
        left -= rows[at].length + sum(map(stored.size_of, more))
        if left < 0 and at > first:
            return Choice(at, frozenset(taken))
        taken |= more
    return Choice(stop, frozenset(taken))


def brought(rows: Iterable[Row], before: Iterable[Row], stored: Stored) -> set[bytes]:
    """Return the blobs that rows name and no row before them; `before` comes newest first.

    What was pruned since it was named last counts as never named: who received it may have pruned it, too.
    """
    wanted: set[bytes] = set()
    gone: set[bytes] = set()
    again: set[bytes] = set()
    for row in rows:
        wanted |= row.digests()
        again |= row.digests() & gone
        if row.kind == PRUNED:
            gone |= stored.pruned_by(row)
    wanted -= again
    last = b""
    for row in before:  # a hundred thousand of them, for each batch: written for speed
        if not wanted:
            break
        if row.kind == PRUNED:
            again |= wanted & stored.pruned_by(row)
            wanted -= again
        if row.packed != last:  # most runs find what the run before them found
            last = row.packed
            wanted -= row.digests() if len(wanted) > _FEW else {each for each in wanted if each in last}
    return wanted | again
