"""The outbox: immutable batches that wait until every sink has them, within a budget of bytes.

Only the signer writes and removes here. A batch goes when each sink has it: a hub proves that by its signature, a
folder or a store by the uploader's word for the file's digest. Over the budget the oldest batches are replaced by the
same entries without blobs, each replacement signed; entries themselves are never dropped.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from agent.signing import progress as progress_file
from agent.signing.clerk import Clerk
from agent.signing.policy import Policy
from agent.signing.progress import Batch, Progress, Replacing
from evidence.accepting import ReceiptError
from evidence.batch_form import Place, place_of
from evidence.errors import EvidenceError, FormatError, PackError, StateError
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
WORTH_BYTES = 32 << 10
"""A smaller batch is left as it is: the entry that tells of its replacement would take as much room."""
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
        """Return how far everything is; files and progress agree when it is first asked for."""
        if self._loaded is None:
            loaded = progress_file.load(self._clerk.state)
            self._mend(loaded)
            self._loaded = loaded  # not before: what was not mended to the end is tried again
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
        with self.saved() as progress:
            for log in self._logs():
                try:
                    while count < most and progress.next.get(log.id, 0) < log.size:
                        self._write_one(progress, log.id, progress.next.get(log.id, 0))
                        count += 1
                except PackError:  # noqa: PERF203  the disk refuses, whatever the log
                    raise
                except EvidenceError as error:
                    amiss = amiss or error
        self._trim()
        if amiss is not None and not count:
            raise amiss
        return count

    def write_due(self) -> int:
        """Write if the last time is long enough ago, and return how many batches that made."""
        return self.write() if self.wait_s(urgent=False) <= COALESCE_S else 0

    def again(self, log_id: str, first: int) -> int:
        """Write once more what begins with an entry: a hub lost it. Raises: StateError if there is no such entry."""
        sizes = {each.id: each.size for each in self._logs()}
        if first >= sizes.get(log_id, 0):
            raise StateError(f"log {log_id}", f"an entry {first}", f"{sizes.get(log_id, 0)}", "see evidenced log")
        with self.saved() as progress:
            self._forget(progress, log_id, first)
        return self.write()

    def left(self) -> bool:
        """Return whether there are entries that no batch holds."""
        if not self.policy.sinks:
            return False
        return any(self.progress.next.get(each.id, 0) < each.size for each in self._logs())

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
        place = progress_file.place(name)
        with self.saved() as progress:
            if policy.kind == "hub":
                if note is None:
                    raise FormatError(f"sink {sink}", "the log's checkpoint with the hub's signature", "none")
                size = self._acknowledged(place, note, policy.vkey)
                held = [each for each in progress.batches if progress_file.is_within(each, place.log_id, size)]
            else:
                batch = progress.batches.get(name)
                if batch is not None and batch.sha256 != sha256:
                    raise FormatError(f"sink {sink}", "the digest of the batch", "another")
                held = [] if batch is None else [name]
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
        with self.saved() as progress:
            batch = progress.batches.get(name)
            if proof is not None:
                self._take_proof(progress_file.place(name).log_id, proof)
            if batch is None:
                return
            batch.refused[sink] = reason
            if reason.startswith(TOO_LARGE):
                self._split(progress, name, batch)

    def _take_proof(self, log_id: str, proof: bytes) -> None:
        """Keep a proof that this state was put back; a note that proves nothing is kept as what it is."""
        verifiers = [Verifier.parse(each) for each in self.progress.hubs]
        with contextlib.suppress(ReceiptError):
            self._clerk.store.accept_receipt(log_id, proof, verifiers)

    def _split(self, progress: Progress, name: str, batch: Batch) -> None:
        """Write two batches in place of one; what is of one entry goes without its blobs."""
        log_id, first, size = progress_file.place(name)
        if size - first == 1:
            if not batch.bare:
                self._replace(progress, name, batch)
            return
        middle = (first + size) // 2
        while first < size:
            stop = middle if first < middle else size
            info = self._clerk.store.write_batch(
                self._folder, log_id, first, size=stop, with_blobs=not batch.bare, overwrite=True
            )
            progress.batches[info.name] = progress_file.batch_of(info, batch.delivered)
            first = info.size
        self._remove(progress, name)

    def _acknowledged(self, place: Place, note: bytes, vkey: str | None) -> int:
        """Return up to which size a hub has the log. Raises: EvidenceError unless it says so with a key we know."""
        keys = self.progress.hubs if vkey is None else [vkey]
        if not keys:
            raise StateError("hub", "a key to check its signature with", "none", "run evidenced enroll")
        verifiers = [Verifier.parse(each) for each in keys]
        return self._clerk.store.accept_receipt(place.log_id, note, verifiers, covers=place.size).size

    def _settle(self, progress: Progress) -> int:
        """Remove what every sink has, and return how many that were."""
        wanted = self.policy.sinks.keys()
        done = [name for name, each in progress.batches.items() if wanted and wanted <= set(each.delivered)]
        for name in done:
            self._remove(progress, name)
        return len(done)

    def _write_one(self, progress: Progress, log_id: str, first: int) -> None:
        info = self._clerk.store.write_batch(self._folder, log_id, first, overwrite=True)
        progress.next[log_id] = info.size
        progress.batches[info.name] = progress_file.batch_of(info)
        progress.written = self.wall()
        self._save(progress)  # the file is there: forgotten, it would be written again

    def _trim(self) -> None:
        """Replace the oldest batches by their entries alone until the budget holds, and sign each replacement."""
        progress, limit = self.progress, self.policy.limit_bytes
        over = progress.bytes > limit  # a sum over all, of which there may be tens of thousands
        for name, batch in progress.oldest_first():
            if batch.replacing is not None or (over and not batch.bare and batch.bytes > WORTH_BYTES):
                self._replace(progress, name, batch)
                over = progress.bytes > limit

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
            sha256=info.sha256, blobs=info.blobs, bytes=info.bytes, bare=True, delivered=batch.delivered
        )
        self._save(progress)

    def _mend(self, progress: Progress) -> None:
        """Make files and progress agree: what is gone is written again, what nobody knows is found by its name."""
        try:
            there = {name for name in os.listdir(self._folder) if place_of(name) is not None}
        except FileNotFoundError:
            there = set()
        for place in [progress_file.place(name) for name in progress.batches if name not in there]:
            self._forget(progress, place.log_id, place.first)
        for name in there - progress.batches.keys():
            self._remove(progress, name)  # written, and forgotten by a crash; or its progress is lost

    def _forget(self, progress: Progress, log_id: str, first: int) -> None:
        """Begin again at an entry: what holds it or comes behind it is written anew, and whole.

        Other sinks may not have what stands in front of the entry in the batch that holds it.
        """
        reaching = [name for name in progress.batches if progress_file.reaches(name, log_id, first)]
        first = min((first, *(progress_file.place(name).first for name in reaching)))
        for name in reaching:
            self._remove(progress, name)
        progress.next[log_id] = min(first, progress.next.get(log_id, first))

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

    def _save(self, progress: Progress) -> None:
        progress_file.save(self._clerk.state, progress)
