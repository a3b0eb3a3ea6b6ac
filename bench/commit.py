"""P17: 5,000 rows of 13 tables made canonical, hashed, signed and stored durably, beside a plain SQLite insert.

Both in turn in one process, on the disk of the temporary folder, each commit with rows that were never seen.
SQLite stores the same rows with `synchronous=FULL` in one transaction and proves nothing; it is the yardstick for
what this disk takes to make so many bytes durable. Then: an unchanged snapshot, fsyncs for each, and how long a log
of 10,000 entries takes to open with and without its index.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import tempfile
from collections.abc import Callable
from time import perf_counter, process_time

import msgspec

from bench.figures import Line
from evidence.log import EvidenceStore
from evidence.predicates import Clock, Cost
from evidence.statement import Collected, Observation

TABLES = 13
ROWS = 5000
PAIRS = 15
ENTRIES = 10_000
GOAL_MS = 60
OPENINGS = 5
OPEN_GOAL_S = 2
SEEN = Observation(
    name="bench", labels={}, machine=None, observed="live", version="0", reason="by-hand", privileged=False
)
COST = Cost(wall_ms=1, cpu_ms=1, peak_kib=1, files=1, bytes=1)


class Package(msgspec.Struct):
    """A row as wide as those of `packages`."""

    name: str
    version: str
    architecture: str
    status: str
    purl: str
    source: str | None


def clock() -> Clock:
    """Return a fixed moment."""
    return Clock(wall="2026-01-01T00:00:00.000Z", boottime_ms=1, boot_id="b", synchronised=True)


def made_rows(table: int, round_: int) -> list[Package]:
    """Return the rows of one table; no two rounds have one in common."""
    return [
        Package(
            name=f"package-{table}-{at}",
            version=f"{round_}.{at % 17}.{at % 7}-{at % 5}",
            architecture="amd64",
            status="installed",
            purl=f"pkg:deb/debian/package-{table}-{at}@{round_}.{at % 17}?arch=amd64",
            source=None if at % 3 else f"source-{at}",
        )
        for at in range(ROWS // TABLES)
    ]


def collected(table: int, found: list[Package]) -> Collected:
    """Return rows as the agent hands them over: canonical lines, sorted."""
    lines = sorted(msgspec.json.encode(each, order="sorted") + b"\n" for each in found)
    return Collected(
        name=f"table_{table}",
        version=1,
        header=b"{}\n",
        coverage="complete",
        failure=None,
        rows=b"".join(lines),
        row_count=len(lines),
        gaps=b"",
        gap_count=0,
        reasons={},
        interval_s=None,
        cost=COST,
    )


def ours(store: EvidenceStore, tables: list[list[Package]]) -> None:
    """Encode, hash, sign and store."""
    store.append_snapshot([collected(at, found) for at, found in enumerate(tables)], SEEN)


def theirs(base: sqlite3.Connection, tables: list[list[Package]]) -> None:
    """Store the same rows."""
    with base:
        for at, found in enumerate(tables):
            values = [(at, *msgspec.structs.astuple(each)) for each in found]
            base.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def took(job: Callable[[], None]) -> tuple[float, float]:
    """Return milliseconds of wall and of CPU."""
    wall, cpu = perf_counter(), process_time()
    job()
    return (perf_counter() - wall) * 1000, (process_time() - cpu) * 1000


def compare(folder: str, pairs: int) -> list[Line]:
    """Return what a commit takes, and what SQLite takes for the same rows."""
    base = sqlite3.connect(os.path.join(folder, "rows.sqlite"))
    base.execute("PRAGMA synchronous = FULL")
    base.execute("CREATE TABLE rows (t, name, version, architecture, status, purl, source)")
    both = []
    with EvidenceStore.open(os.path.join(folder, "state"), machine=None, clock=clock) as store:
        for round_ in range(pairs + 1):
            tables = [made_rows(at, round_) for at in range(TABLES)]
            both.append((took(lambda: ours(store, tables)), took(lambda: theirs(base, tables))))  # noqa: B023
        again = statistics.median(took(lambda: ours(store, tables))[0] for _ in range(pairs))
        changed_syncs = syncs(lambda: ours(store, [made_rows(at, pairs + 1) for at in range(TABLES)]))
        same_syncs = syncs(lambda: ours(store, [made_rows(at, pairs + 1) for at in range(TABLES)]))
    base.close()
    both = both[1:]  # the first one opened the log
    wall, cpu = (statistics.median(each[0][at] for each in both) for at in (0, 1))
    other = statistics.median(each[1][0] for each in both)
    ratio = statistics.median(each[0][0] / each[1][0] for each in both)
    job = f"{ROWS:,} rows of {TABLES} tables made durable; SQLite, synchronous=FULL"
    return [
        Line("P17", f"{job}: wall", f"{wall:.0f} ms", f"{other:.0f} ms", f"{ratio:.2f}", f"{GOAL_MS} ms"),
        Line("P17", "the same: CPU", f"{cpu:.0f} ms", "-", "-", "-"),
        Line("-", "an unchanged snapshot: wall", f"{again:.0f} ms", "-", "-", "-"),
        Line("-", "fsyncs when all is new, and unchanged", f"{changed_syncs} / {same_syncs}", "-", "-", "-"),
    ]


def syncs(job: Callable[[], None]) -> int:
    """Return how often a job calls fsync."""
    real, count = os.fsync, 0

    def counted(descriptor: int) -> None:
        nonlocal count
        count += 1
        real(descriptor)

    os.fsync = counted  # type: ignore[assignment]
    try:
        job()
    finally:
        os.fsync = real
    return count


def opening(folder: str) -> list[Line]:
    """Return how long a log of many entries takes to open, with its index and without."""
    state = os.path.join(folder, "long")
    with EvidenceStore.open(state, machine=None, clock=clock) as store:
        for at in range(ENTRIES):
            store.append_event("note", {"n": at}, {}, SEEN)
    with_index = [took(lambda: EvidenceStore.open(state, machine=None, clock=clock).close()) for _ in range(OPENINGS)]
    session = [took(lambda: one_session(state)) for _ in range(OPENINGS)]
    os.unlink(os.path.join(state, "index.sqlite"))
    without = took(lambda: EvidenceStore.open(state, machine=None, clock=clock).close())
    wall, cpu = (statistics.median(each[at] for each in with_index) for at in (0, 1))
    signing = statistics.median(each[1] for each in session)
    goal = f"{OPEN_GOAL_S} s"
    return [
        Line("S3", f"a log of {ENTRIES:,} entries opens: wall", f"{wall:.0f} ms", "-", "-", goal),
        Line("S3", "the same: CPU", f"{cpu:.0f} ms", "-", "-", "-"),
        Line("S3", "the same without its index: wall", f"{without[0]:.0f} ms", "-", "-", goal),
        Line("S3", "the same without its index: CPU", f"{without[1]:.0f} ms", "-", "-", "-"),
        Line("-", "it opens, takes an event and closes: CPU", f"{signing:.0f} ms", "-", "-", "-"),
    ]


def one_session(state: str) -> None:
    """Do what a signer does that is started for one entry."""
    with EvidenceStore.open(state, machine=None, clock=clock) as store:
        store.append_event("note", {"n": 0}, {}, SEEN)


def rows(pairs: int = PAIRS) -> list[Line]:
    """Return P17 and the times to open."""
    with tempfile.TemporaryDirectory() as folder:
        lines = compare(folder, pairs)
    # Made in memory where there is such a place: ten thousand commits wait for a disk for minutes.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        return [*lines, *opening(folder)]
