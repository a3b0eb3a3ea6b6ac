"""The hub itself, behind whatever brings requests to it: each call here may run in any thread.

Calls about one log must follow each other (`hub.web.turns`); everything else may overlap.
"""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import BinaryIO

from hub import checkpoints, forks, intake, witness
from hub.blob_files import BlobFiles
from hub.commit import Committer
from hub.enrolment import Enrolments, Nonces, decode
from hub.folder import HubFolder
from hub.forks import ForkError
from hub.limits import Limits
from hub.log_state import LogState, load
from hub.problem import Problem, StandsElsewhere
from hub.registry import LOG_ID
from hub.signing import Signers
from hub.tokens import TokenCheck
from hub.uploads import Announced, Uploads

PROTOCOL = 1
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Enrolled:
    """The answer to an enrolment."""

    new: bool
    log: str
    name: str


class Hub:
    """One hub's folder, keys and work."""

    def __init__(self, folder: HubFolder, signers: Signers, tokens: TokenCheck, limits: Limits) -> None:
        self.limits = limits
        self.signers = signers
        self._folder = folder
        self._nonces = Nonces(limits.nonce_s)
        self._enrolments = Enrolments(folder.database, tokens, signers.storage.name, self._nonces)
        self._blobs = BlobFiles(folder.blobs)
        self._blobs.sweep()
        self.uploads = Uploads(folder.uploads, limits)
        for digest in self.uploads.digests():  # taken, and then the process was killed
            if folder.database.one("SELECT 1 FROM receipts WHERE digest = ?", digest) is not None:
                self.uploads.end_all(digest)
        self._committer = Committer(folder.database, self._blobs, signers.storage)

    def close(self) -> None:
        """Finish what was handed to the committer."""
        self._committer.close()
        self._blobs.close()

    def describe(self) -> dict[str, str | int]:
        """Return what `GET /v1/hub` says."""
        return {
            "max_batch": self.limits.max_batch,
            "max_chunk": self.limits.max_chunk,
            "name": self.signers.storage.name,
            "nonce": self._nonces.new(int(time.time())),
            "protocol": PROTOCOL,
            "vkey": self.signers.storage.vkey,
            "witness_vkey": self.signers.witness.vkey,
        }

    def enrol(self, body: bytes, token: str) -> Enrolled:
        """Enrol a key. Raises: Problem."""
        request = decode(body)
        new, log_id = self._enrolments.enrol(request, token, int(time.time()))
        return Enrolled(new=new, log=log_id, name=request.name)

    def checkpoint(self, log_id: str) -> bytes:
        """Return the newest acknowledgement of a log. Raises: Problem 404."""
        state = load(self._folder.database, log_id) if LOG_ID.match(log_id) else None
        if state is None or state.note is None:
            raise Problem("unknown", "no entry of that log is here")
        found = state.note
        if state.witness is not None and state.witness.text == found.text:
            for line in state.witness.lines:
                found = found.with_line(line)
        return found.encode()

    def examine(self, announced: Announced) -> bytes | intake.Arrived:
        """Return the acknowledgement of a batch that was taken before, its checkpoint if it may be sent.

        Raises: Problem; StandsElsewhere; as far as it can be said before the batch is here.
        """
        state = self._state_of(announced)
        arrived = self._arrived(state, announced)
        row = self._folder.database.one(
            "SELECT receipts.note, logs.id FROM receipts JOIN logs ON logs.number = receipts.log WHERE digest = ?",
            announced.digest,
        )
        if row is not None and row["id"] == announced.log_id:
            return bytes(row["note"])
        self._check_place(state, announced, arrived)
        if self._folder.free() < self.limits.reserve + 2 * announced.length:
            raise Problem("storage", "ask the operator for more disk", headers={"Retry-After": "300"})
        return arrived

    def verify(self, announced: Announced, stream: BinaryIO, arrived: intake.Arrived | None = None) -> Future[bytes]:
        """Check a whole batch and hand it to the committer; the result is its acknowledgement.

        `arrived` is what `examine` returned, if that was asked just now; others may have grown the log since.
        Raises: Problem; StandsElsewhere.
        """
        _check_digest(announced, stream)
        state = self._state_of(announced)
        arrived = arrived or self._arrived(state, announced)
        self._check_place(state, announced, arrived)
        try:
            accepted = intake.check(self._folder.database, self._blobs, state, announced, arrived, stream)
        except ForkError as error:
            raise forks.keep(self._folder, error.fork) from None
        return self._committer.submit(accepted)

    def add_checkpoint(self, submission: witness.Submission) -> bytes:
        """Return a cosignature line of the witness key. Raises: Problem, StandsElsewhere."""
        try:
            return witness.add_checkpoint(self._folder.database, self.signers.witness, submission, int(time.time()))
        except ForkError as error:
            raise forks.keep(self._folder, error.fork) from None

    def _state_of(self, announced: Announced) -> LogState:
        state = load(self._folder.database, announced.log_id)
        if state is None:
            raise Problem("not-enrolled", "the key of this log is not known here: enrol it")
        return state

    def _arrived(self, state: LogState, announced: Announced) -> intake.Arrived:
        checkpoint, own = checkpoints.signed(announced.note.encode(), state)
        if checkpoint.size != announced.size:
            raise Problem("malformed", f"Evidenced-Checkpoint: expected size {announced.size}, found {checkpoint.size}")
        return intake.Arrived(checkpoint, own)

    def _check_place(self, state: LogState, announced: Announced, arrived: intake.Arrived) -> None:
        try:
            checkpoints.check_known(self._folder.database, state, arrived.checkpoint, arrived.note)
        except ForkError as error:
            raise forks.keep(self._folder, error.fork) from None
        if announced.first > state.size:
            raise StandsElsewhere(state.size)


def _check_digest(announced: Announced, stream: BinaryIO) -> None:
    found = hashlib.sha256()
    length = 0
    while chunk := stream.read(_CHUNK):
        found.update(chunk)
        length += len(chunk)
    stream.seek(0)
    if (length, found.hexdigest()) != (announced.length, announced.digest):
        raise Problem("digest", "expected the announced length and digest, found others")
