"""Making the outbox and what is known of it agree, without ever losing an entry that only a file there still holds.

What is gone is written again. A file that nobody knows is adopted, be it that a crash came before it was noted, that
the progress is lost, or that the whole state is, and it is the last copy. A file whose bits have flipped is written
anew. What is no sound batch and cannot be one again is kept under another name, for people to look at.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Sequence

from agent.signing import progress as progress_file
from agent.signing import standing
from agent.signing.clerk import Clerk
from agent.signing.progress import Batch, Progress, joined
from agent.signing.standing import Standing
from evidence.accepting import ReceiptError
from evidence.errors import EvidenceError, PackError, StateError, UnreadableError
from evidence.note import Verifier
from evidence.order import id_of
from evidence.reader import StoreReader

LOOK_S = 60.0
"""For so long files that nobody knows are looked at in one go: all of an outbox may take longer than a service may."""


class Mending:
    """The files of one outbox, beside the state that wrote them, or did not."""

    def __init__(self, folder: str, clerk: Clerk) -> None:
        self._folder = folder
        self._clerk = clerk

    def agree(self, progress: Progress) -> bool:
        """Make files and progress agree; return whether all was looked at in the time that there is.

        Raises: OSError, EvidenceError.
        """
        began = time.monotonic()
        there = standing.names(self._folder)
        self._are_gone(progress, progress.batches.keys() - there)
        lost = {each for each in {progress_file.place(name).log_id for name in progress.batches} if self._is_lost(each)}
        for name, batch in progress.batches.items():
            batch.adopted = batch.adopted or progress_file.place(name).log_id in lost
        unknown = sorted(there - progress.batches.keys())
        for name in unknown:
            self._adopt(progress, name)
            if time.monotonic() - began > LOOK_S and name != unknown[-1]:
                return False
        if unknown:
            self._count_as_written(progress)
        return True

    def looked_at(self, progress: Progress, name: str, batch: Batch) -> Batch | None:
        """Return what is known of a batch after its file was compared with that; None if the file is no batch.

        Raises: OSError; PackError if the disk refuses.
        """
        path = os.path.join(self._folder, name)
        found = standing.digest(path)
        if found == batch.sha256:
            return batch
        sound = None if found is None else standing.read(path)
        if sound is not None:  # the progress is what is old
            batch.sha256, batch.blobs, batch.bytes = sound.sha256, sound.blobs, sound.bytes
            return batch
        return self._written_anew(progress, name, batch)

    def take_proof(self, log_id: str, proof: bytes, verifiers: Sequence[Verifier] = ()) -> None:
        """Keep a proof that this state was put back; a note that proves nothing is kept as what it is."""
        with contextlib.suppress(ReceiptError):
            self._clerk.store.accept_receipt(log_id, proof, verifiers)

    def _set_aside(self, name: str) -> None:
        aside = standing.set_aside(self._folder, name)
        self._clerk.say(f"outbox: {name} is no sound batch; it is kept as {aside}, see evidenced doctor")

    def _are_gone(self, progress: Progress, names: Iterable[str]) -> None:
        """Forget batches, and have written again what the log can write."""
        gone = {progress_file.place(name) for name in names if not progress.batches.pop(name).adopted}
        for log_id in {each.log_id for each in gone}:
            for span in joined((each.first, each.size) for each in gone if each.log_id == log_id):
                progress.lacks(log_id, *span)

    def _count_as_written(self, progress: Progress) -> None:
        """Have of each log only that written which no batch holds."""
        sizes: dict[str, int] = {}
        for name, batch in progress.batches.items():
            log_id, _, size = progress_file.place(name)
            if not batch.adopted:
                sizes[log_id] = max(size, sizes.get(log_id, 0))
        for log_id, size in sizes.items():
            progress.reaches(log_id, size)

    def _is_lost(self, log_id: str) -> bool:
        """Return whether this state has a log no more, or not what it was signed with."""
        try:
            with StoreReader(self._clerk.state) as reader:
                reader.signed_size(log_id)
        except UnreadableError:
            raise
        except StateError:
            return True
        return False

    def _adopt(self, progress: Progress, name: str) -> None:
        """Take in a file that nobody knows."""
        found = standing.read(os.path.join(self._folder, name))
        if found is None:
            self._set_aside(name)
            return
        relation = standing.relation(self._clerk.state, found)
        progress.batches[name] = Batch(
            sha256=found.sha256,
            blobs=found.blobs,
            bytes=found.bytes,
            bare=found.blobs == 0,
            adopted=relation != "ours",
        )
        if relation == "ours":
            return
        self._clerk.say(f"outbox: {name} holds what the log in this state does not; it is delivered as it is")
        if relation == "beyond":
            self._prove(found)

    def _prove(self, found: Standing) -> None:
        """Show the log that goes on what its own key signed, and it has not: the next entry begins a new epoch."""
        with StoreReader(self._clerk.state) as reader:
            card = reader.key_card()
        if card is not None and id_of(card.vkey.partition("+")[0]) == found.place.log_id:
            self.take_proof(found.place.log_id, found.head.note.encode())

    def _written_anew(self, progress: Progress, name: str, batch: Batch) -> Batch | None:
        place = progress_file.place(name)
        try:
            if batch.adopted:
                raise StateError(name, "a log that can write it", "none")
            info = self._clerk.store.write_batch(
                self._folder, place.log_id, place.first, size=place.size, with_blobs=not batch.bare, overwrite=True
            )
        except PackError:
            raise
        except EvidenceError:  # nobody can sign for these entries alone, or damage took them
            if os.path.lexists(os.path.join(self._folder, name)):
                self._set_aside(name)
            self._are_gone(progress, [name])
            return None
        anew = progress_file.batch_of(info, batch.delivered)
        anew.bare, anew.before = batch.bare, batch.before
        progress.batches[name] = anew
        return anew
