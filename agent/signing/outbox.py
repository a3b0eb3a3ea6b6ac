"""The outbox: immutable batches that wait until every sink has them, within a budget of bytes.

Only the signer writes and removes here. A batch goes when each sink has it, and for no other reason: a hub proves that
by its signature, a folder or a store by the uploader's word for the file's digest. Over the budget the oldest batches
are replaced by the same entries without blobs (`shrinking`); entries themselves are never dropped (`mending`).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from agent.signing import progress as progress_file
from agent.signing import standing
from agent.signing.clerk import Clerk
from agent.signing.mending import Mending
from agent.signing.policy import Policy
from agent.signing.progress import Progress, Span, begins
from agent.signing.shrinking import Shrinking
from evidence.errors import DamageError, EvidenceError, FormatError, PackError, StateError
from evidence.note import Verifier
from evidence.reader import LogInfo, StoreReader
from evidence.state import open_state

SPACING_S = 900.0
"""Between two writings of what the schedule brought."""
COALESCE_S = 5.0
"""How long a change waits for those that come with it."""
AT_ONCE = 8
"""Batches that one request writes; the rest follows while nobody waits."""
FOLDER_MODE = 0o700
TOO_LARGE = "too-large"
"""The word with which a refusal begins that smaller batches would not meet."""


class Outbox:
    """The batches of one state."""

    def __init__(
        self, folder: str, clerk: Clerk, policy_of: Callable[[], Policy], *, wall: Callable[[], float] = time.time
    ) -> None:
        """Nothing is read before it is needed: most commands that sign have nothing to do with an outbox."""
        self._folder = folder
        self._clerk = clerk
        self._policy_of = policy_of
        self._policy: Policy | None = None
        self.wall = wall
        self._mending = Mending(folder, clerk)
        self._is_mended = False
        self._shrinking = Shrinking(folder, clerk, self._save)
        self._loaded: Progress | None = None

    @property
    def policy(self) -> Policy:
        """Return what the configuration says."""
        if self._policy is None:
            self._policy = self._policy_of()
        return self._policy

    def reload(self) -> None:
        """Read the configuration again when it is next needed."""
        self._policy = None

    @property
    def progress(self) -> Progress:
        """Return how far everything is, as it was noted."""
        if self._loaded is None:
            self._loaded = progress_file.load(self._clerk.state)
        return self._loaded

    def wait_s(self, *, urgent: bool) -> float:
        """Return in how many seconds something that was just signed is to be written."""
        since = self.wall() - self.progress.written
        if urgent or since < 0:  # the clock was set back
            return COALESCE_S
        return max(COALESCE_S, SPACING_S - since)

    def write(self, most: int = AT_ONCE) -> int:
        """Write what no batch holds yet, at most so many batches, and return how many.

        A log that cannot be proved any more, such as one that damage took and a new epoch follows, keeps no other one
        waiting. Raises: EvidenceError, for such a log once nothing else is left to be written.
        """
        if not self.policy.sinks:
            return 0
        self._make_folder()
        count, amiss = 0, None
        with self._agreed() as progress:
            for log_id, span in [(log.id, each) for log in self._logs() for each in progress.wanted(log.id, log.size)]:
                try:
                    count += self._write_span(progress, log_id, span, most - count)
                except PackError:  # noqa: PERF203  the disk refuses, whatever the log
                    raise
                except EvidenceError as error:
                    amiss = amiss or error
        with self.saved() as progress:
            self._shrinking.trim(progress, self.policy.limit_bytes)
        if amiss is not None and not count:
            raise amiss
        return count

    def write_due(self) -> int:
        """Write if the last time is long enough ago, and return how many batches that made."""
        return self.write() if self.wait_s(urgent=False) <= COALESCE_S else 0

    def again(self, log_id: str, first: int) -> int:
        """Write once more what stands from an entry on and is in no batch any more: a hub lost it.

        What is still in the outbox stays, whatever the log could give. Raises: StateError if there is no such entry.
        """
        sizes = {each.id: each.size for each in self._logs()}
        if first >= sizes.get(log_id, 0):
            raise StateError(f"log {log_id}", f"an entry {first}", f"{sizes.get(log_id, 0)}", "see evidenced log")
        with self._agreed() as progress:
            progress.lacks(log_id, first, sizes[log_id])
        return self.write()

    def left(self) -> bool:
        """Return whether there are entries that no batch holds."""
        if not self.policy.sinks:
            return False
        return any(self.progress.wanted(each.id, each.size) for each in self._logs())

    def enrolled(self, vkey: str) -> None:
        """Believe a hub's signatures from now on; the entry that says so is signed already."""
        with self.saved() as progress:
            if vkey not in progress.hubs:
                progress.hubs.append(vkey)

    def delivered(self, sink: str, name: str, note: bytes | None, sha256: str | None) -> int:
        """Take in that a sink has a batch, and return how many left the outbox.

        Raises: EvidenceError if that is not proved, or there is no such sink; a batch that is gone is fine.
        """
        policy = self.policy.sinks.get(sink)
        if policy is None:
            raise StateError(f"sink {sink}", "one of the configuration", "none of its name", "reload the signer")
        progress_file.place(name)
        with self._agreed() as progress:
            if policy.kind == "hub":
                if note is None:
                    raise FormatError(f"sink {sink}", "the log's checkpoint with the hub's signature", "none")
                held = self._acknowledged(progress, name, note, policy.vkey)
            else:
                held = self._received(progress, sink, name, sha256)
            for each in held:
                progress.batches[each].has_come_to(sink)
            return self._settle(progress)

    def refused(self, sink: str, name: str, reason: str, proof: bytes | None = None) -> None:
        """Keep that a sink will not have a batch, for `status`; the batch stays, in two if it was too large.

        `proof` is the note of a hub that has another history of this log: if our own key signed that, the next entry
        begins a new epoch. Raises: StateError.
        """
        if sink not in self.policy.sinks:
            raise StateError(f"sink {sink}", "one of the configuration", "none of its name", "reload the signer")
        with self._agreed() as progress:
            batch = progress.batches.get(name)
            if proof is not None:
                hubs = [Verifier.parse(each) for each in progress.hubs]
                self._mending.take_proof(progress_file.place(name).log_id, proof, hubs)
            if batch is None or self._mending.looked_at(progress, name, batch) is not batch:
                return  # another file stands there now, of which nobody has said anything
            batch.refused[sink] = reason
            if reason.startswith(TOO_LARGE):
                self._shrinking.cut(progress, name, batch)

    def _received(self, progress: Progress, sink: str, name: str, sha256: str | None) -> list[str]:
        """Return the batch whose digest a folder or a store names. Raises: FormatError for another."""
        batch = progress.batches.get(name)
        if batch is None:
            return []
        if not batch.is_known_as(sha256):
            seen = self._mending.looked_at(progress, name, batch)
            if seen is None or not seen.is_known_as(sha256):
                raise FormatError(f"sink {sink}", "the digest of the batch", "another")
        return [name]

    def _acknowledged(self, progress: Progress, name: str, note: bytes, vkey: str | None) -> list[str]:
        """Return the batches that a hub has. Raises: EvidenceError unless it says so with a key we know."""
        keys = progress.hubs if vkey is None else [vkey]
        if not keys:
            raise StateError("hub", "a key to check its signature with", "none", "run evidenced enroll")
        verifiers = [Verifier.parse(each) for each in keys]
        place, batch = progress_file.place(name), progress.batches.get(name)
        if batch is None or not batch.adopted:
            try:
                size = self._clerk.store.accept_receipt(place.log_id, note, verifiers, covers=place.size).size
            except DamageError:  # the log cannot show its tree any more; a batch can
                if batch is None:
                    raise
            else:
                known = [each for each, one in progress.batches.items() if not one.adopted]
                return [each for each in known if progress_file.is_within(each, place.log_id, size)]
        standing.check_acknowledged(os.path.join(self._folder, name), note, verifiers)
        return [name]

    def _settle(self, progress: Progress) -> int:
        """Remove what every sink has, and return how many that were."""
        wanted = self.policy.sinks.keys()
        done = [name for name, each in progress.batches.items() if wanted and wanted <= set(each.delivered)]
        for name in done:
            self._remove(progress, name)
        return len(done)

    def _write_span(self, progress: Progress, log_id: str, span: Span, most: int) -> int:
        """Write entries into batches, at most so many, and return how many that were."""
        count, (first, stop) = 0, span
        while count < most and first < stop:
            taken = [each for each, known in progress.batches.items() if known.adopted and begins(each, log_id, first)]
            if taken:  # its entries may be in no other place, and are not ours to replace
                raise DamageError(f"outbox {taken[0]}", "a batch of this log as it is now", "one of another history")
            info = self._clerk.store.write_batch(self._folder, log_id, first, up_to=stop, overwrite=True)
            progress.wrote(log_id, first, info.size)
            progress.batches[info.name] = progress_file.batch_of(info)
            progress.written = self.wall()
            self._save(progress)  # the file is there: forgotten, it would be looked at as a stranger's
            first, count = info.size, count + 1
        return count

    def _remove(self, progress: Progress, name: str) -> None:
        progress.batches.pop(name, None)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._folder, name))

    def _make_folder(self) -> None:
        """Make the folder of an ordinary user, or of root without packages; the service's comes with these.

        It may be in the state folder, which is made as such: what makes the way to an outbox would leave it open.
        """
        if not os.path.isdir(self._folder):
            open_state(self._clerk.state, create=True).close()
        os.makedirs(self._folder, FOLDER_MODE, exist_ok=True)

    def _logs(self) -> list[LogInfo]:
        with StoreReader(self._clerk.state) as reader:
            return reader.logs()

    @contextlib.contextmanager
    def saved(self) -> Iterator[Progress]:
        """Give the progress, and remember what became of it however that went."""
        progress = self.progress
        try:
            yield progress
        finally:
            self._save(progress)

    @contextlib.contextmanager
    def _agreed(self) -> Iterator[Progress]:
        """Give the progress as `saved` does, once files and progress agree. Raises: EvidenceError, OSError."""
        with self.saved() as progress:
            if not self._is_mended:
                self._is_mended = self._mending.agree(progress)
            if not self._is_mended:
                raise StateError(
                    self._folder, "batches that were all looked at", "more of them", "try again in a moment"
                )
            yield progress

    def _save(self, progress: Progress) -> None:
        progress_file.save(self._clerk.state, progress)
