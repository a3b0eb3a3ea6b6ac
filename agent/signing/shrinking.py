"""Making batches smaller: by replacing them without their blobs, which is signed, or by cutting them in two.

A batch is replaced only by what has all of its entries: where the log has lost some, the batch may be their last copy.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from agent.signing import progress as progress_file
from agent.signing import standing
from agent.signing.clerk import Clerk
from agent.signing.progress import Batch, Progress, Replacing

WORTH_BYTES = 32 << 10
"""A smaller batch is left as it is: the entry that tells of its replacement would take as much room."""


class Shrinking:
    """The batches of one outbox; `save` remembers what became of them."""

    def __init__(self, folder: str, clerk: Clerk, save: Callable[[Progress], object]) -> None:
        self._folder = folder
        self._clerk = clerk
        self._save = save

    def trim(self, progress: Progress, limit_bytes: int) -> None:
        """Replace the oldest batches by their entries alone until the budget holds, and sign each replacement."""
        over = progress.bytes > limit_bytes  # a sum over all, of which there may be tens of thousands
        for name, batch in progress.oldest_first():
            worth = over and not batch.bare and batch.bytes > WORTH_BYTES
            if (batch.replacing is not None or worth) and self._can_be_written(name, batch):
                self._replace(progress, name, batch)
                over = progress.bytes > limit_bytes

    def cut(self, progress: Progress, name: str, batch: Batch) -> None:
        """Write two batches in place of one; what cannot be cut goes without its blobs."""
        if not self._can_be_written(name, batch):
            return
        log_id, first, size = progress_file.place(name)
        middle = self._clerk.store.cut(log_id, first, size)
        if middle is None:
            if not batch.bare:
                self._replace(progress, name, batch)
            return
        for start, stop in ((first, middle), (middle, size)):
            info = self._clerk.store.write_batch(
                self._folder, log_id, start, size=stop, with_blobs=not batch.bare, overwrite=True
            )
            progress.batches[info.name] = progress_file.batch_of(info, batch.delivered)
        self._save(progress)
        del progress.batches[name]
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._folder, name))

    def _can_be_written(self, name: str, batch: Batch) -> bool:
        """Return whether the log has all that a batch holds; one of which it has not is kept as it is."""
        if not batch.adopted:
            batch.adopted = not standing.can_be_written(self._clerk.state, progress_file.place(name))
        return not batch.adopted

    def _replace(self, progress: Progress, name: str, batch: Batch) -> None:
        place = progress_file.place(name)
        if batch.replacing is None:
            batch.replacing = Replacing(sha256=batch.sha256, blobs=batch.blobs, bytes=batch.bytes)
            self._save(progress)  # before the file changes: whatever comes between, it is signed in the end
        before = batch.replacing
        info = self._clerk.store.write_batch(
            self._folder, place.log_id, place.first, size=place.size, with_blobs=False, overwrite=True
        )
        fields = {
            "old": before.sha256,
            "new": info.sha256,
            "blobs": before.blobs - info.blobs,
            "bytes": max(0, before.bytes - info.bytes),
        }
        self._clerk.trimmed(fields, {"batch": name})
        progress.batches[name] = Batch(
            sha256=info.sha256,
            blobs=info.blobs,
            bytes=info.bytes,
            bare=True,
            delivered=batch.delivered,
            before=before.sha256,
        )
        self._save(progress)
