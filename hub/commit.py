"""The committer: one thread that makes batches durable, several at a time, and signs for them.

In this order: blobs are synced, named and their folders synced; then one transaction holds entries, the new size,
the acknowledgement and what it acknowledges; then the acknowledgements are given out. The disk is waited for once for
all who wait at the moment. What was not given out when the process was killed is either all there or not at all, and
the agent asks again.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

from evidence.note import Note
from hub.blob_files import BlobFiles
from hub.database import Database
from hub.intake import Accepted
from hub.log_state import ensure_row
from hub.problem import Problem
from hub.registry import add_key, host_of, join_hosts
from hub.signing import Cosigner

TOGETHER = 128
"""Batches in one transaction."""


class _Job(NamedTuple):
    accepted: Accepted
    done: Future[bytes]


class Committer:
    """Takes batches that were checked; no two of one log at a time."""

    def __init__(
        self, database: Database, blobs: BlobFiles, cosigner: Cosigner, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._cosigner = cosigner
        self._clock = clock
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def submit(self, accepted: Accepted) -> Future[bytes]:
        """Hand a batch over; the result is the acknowledgement, or a Problem."""
        job = _Job(accepted, Future())
        job.done.set_running_or_notify_cancel()  # what is handed over is committed, though nobody waits any more
        self._jobs.put(job)
        return job.done

    def close(self) -> None:
        """Commit what was handed over, and end."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            group = [job]
            last = False
            while len(group) < TOGETHER and not self._jobs.empty():
                following = self._jobs.get()
                if following is None:
                    last = True
                    break
                group.append(following)
            self._commit(group)
            if last:
                return

    def _commit(self, group: list[_Job]) -> None:
        try:
            notes = self._written([each.accepted for each in group])
        except (OSError, sqlite3.Error):
            for each in group:
                self._blobs.discard(each.accepted.staged)
                each.done.set_exception(Problem("storage", "the disk refuses", headers={"Retry-After": "60"}))
        except BaseException as error:  # noqa: BLE001  whoever waits must hear of it, and the thread lives on
            for each in group:
                self._blobs.discard(each.accepted.staged)
                each.done.set_exception(error)
        else:
            for each, note in zip(group, notes, strict=True):
                each.done.set_result(note)

    def _written(self, group: list[Accepted]) -> list[bytes]:
        self._blobs.settle([each.staged for each in group])
        now = int(self._clock())
        with self._database.transaction() as connection:
            return [self._write(connection, each, now) for each in group]

    def _write(self, connection: sqlite3.Connection, each: Accepted, now: int) -> bytes:
        number = ensure_row(connection, each.state)
        if each.grows:
            note = each.note.with_line(self._cosigner.line(each.note.text, now))
            _grow(connection, number, each, note)
        elif each.state.note is None:
            raise ValueError("a batch without new entries in an empty log")
        else:
            note = each.state.note
        _keep_missing(connection, number, each)
        _keep_key(connection, each, now)
        connection.execute(
            "UPDATE hosts SET seen = ? WHERE id = (SELECT host FROM logs WHERE number = ?)", (now, number)
        )
        announced, encoded = each.announced, note.encode()
        connection.execute(
            "INSERT INTO receipts (digest, log, first, size, note, time) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (digest) DO NOTHING",
            (announced.digest, number, announced.first, announced.size, encoded, now),
        )
        return encoded


def _grow(connection: sqlite3.Connection, number: int, each: Accepted, note: Note) -> None:
    connection.executemany(
        "INSERT INTO pieces (log, first, count, leaves, envelopes) VALUES (?, ?, ?, ?, ?)",
        [(number, piece.first, piece.count, piece.leaves, piece.envelopes) for piece in each.pieces],
    )
    found = each.findings
    connection.execute(
        "UPDATE logs SET size = ?, frontier = ?, note = ?, sshsig = ?, protection = ?, gaps = gaps + ?, "
        "previous = coalesce(?, previous), first_wall = coalesce(first_wall, ?), last_wall = coalesce(?, last_wall) "
        "WHERE number = ?",
        (
            each.announced.size,
            b"".join(each.frontier.full),
            note.encode(),
            each.sshsig,
            each.protection,
            found.gaps,
            found.previous,
            found.first_wall,
            found.last_wall,
            number,
        ),
    )


def _keep_missing(connection: sqlite3.Connection, number: int, each: Accepted) -> None:
    connection.executemany(
        "DELETE FROM missing WHERE log = ? AND digest = ?",
        [(number, digest) for digest in each.named - each.missing],
    )
    connection.executemany(
        "INSERT INTO missing (log, digest) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(number, digest) for digest in sorted(each.missing)],
    )


def _keep_key(connection: sqlite3.Connection, each: Accepted, now: int) -> None:
    """Take the key that a closed log names, as one of the same host: both keys have signed that."""
    following = each.findings.next_key
    if following is None:
        return
    hosts = {host for key in (each.state.owner.key, following) if (host := host_of(connection, key)) is not None}
    add_key(connection, following, join_hosts(connection, hosts), "rotated", now)
