"""What has arrived of batches so far: `uploads/ID.part` grows by pieces, `uploads/ID.json` says what it will be.

The offset is the length of the file, so a killed hub goes on where the disk stands; what arrived is compared with
its digest before anything is done with it.
"""

from __future__ import annotations

import math
import os
import secrets
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from evidence.errors import DamageError
from evidence.state import Folder, write_all
from hub.limits import Limits
from hub.problem import Problem, at_offset

_META_LIMIT = 64 * 1024
_ID_BYTES = 16
REST_S = 60.0
"""After this an upload may make room for another one of its log: an agent that is at it sends every few seconds."""


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """What the request that began an upload said of it."""

    log_id: str
    first: int
    size: int
    digest: str
    """SHA-256 of the whole file, in hex."""
    length: int
    note: str
    """The batch's checkpoint as it was sent."""


class Uploads:
    """All open uploads; each is used by one request at a time (`busy`)."""

    def __init__(self, folder: Folder, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._limits = limits
        self._clock = clock
        self._open: dict[str, Announced] = {}
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._load()

    def begin(self, announced: Announced) -> str:
        """Return the id of the upload of a digest, a new one or the one that was begun. Raises: Problem 429.

        Whoever has seen a checkpoint can begin uploads of its log: those that rest make room for one that is wanted.
        """
        with self._lock:
            self._forget_old()
            same_log = {key: each for key, each in self._open.items() if each.log_id == announced.log_id}
            for key, each in same_log.items():
                if each == announced:
                    return key
            while self._are_too_many(same_log, announced):
                rested = [key for key in same_log if key not in self._busy and self._rested_s(key) >= REST_S]
                if not rested:
                    raise Problem("too-many", "this log has other uploads open", headers={"Retry-After": "60"})
                longest = max(rested, key=self._rested_s)
                self._remove(longest)
                del same_log[longest]
            key = secrets.token_hex(_ID_BYTES)
            self._folder.replace(f"{key}.json", msgspec.json.encode(announced))
            self._open[key] = announced
            return key

    def _are_too_many(self, open_: dict[str, Announced], announced: Announced) -> bool:
        total = sum(each.length for each in open_.values()) + announced.length
        return len(open_) >= self._limits.uploads_per_log or total > 2 * self._limits.max_batch

    def _rested_s(self, key: str) -> float:
        """Return for how many seconds nothing came of an upload; for ever, if nothing of it is here."""
        times = [facts.st_mtime for end in ("part", "json") if (facts := self._folder.facts(f"{key}.{end}"))]
        return self._clock() - max(times) if times else math.inf

    def take(self, key: str) -> Announced:
        """Return an open upload, for one request alone until `release`. Raises: Problem 404, 409 `busy`."""
        with self._lock:
            announced = self._open.get(key)
            if announced is None:
                raise Problem("unknown", "no such upload is open: begin again")
            if key in self._busy:
                raise Problem("busy", "try again when it has ended", headers={"Retry-After": "1"})
            self._busy.add(key)
            return announced

    def release(self, key: str) -> None:
        """Let other requests have the upload."""
        with self._lock:
            self._busy.discard(key)

    def peek(self, key: str) -> Announced | None:
        """Return what was announced of an open upload, None if it is not open."""
        with self._lock:
            return self._open.get(key)

    def offset(self, key: str) -> int:
        """Return how many bytes are here."""
        facts = self._folder.facts(f"{key}.part")
        return 0 if facts is None else facts.st_size

    def check_offset(self, key: str, offset: int) -> int:
        """Return how many bytes are here. Raises: Problem 409 if a piece begins elsewhere."""
        stands = self.offset(key)
        if offset != stands:
            raise at_offset(stands)
        return stands

    def append(self, key: str, offset: int, data: bytes) -> int:
        """Put a piece behind what is here, durably, and return the new offset. Raises: Problem; OSError."""
        stands = self.check_offset(key, offset)
        if not data:
            return stands
        descriptor = self._folder.open(f"{key}.part", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return stands + len(data)

    def reader(self, key: str) -> BinaryIO:
        """Return all that is here, as a file."""
        return os.fdopen(self._folder.open(f"{key}.part", os.O_RDONLY), "rb")

    def end_all(self, digest: str) -> None:
        """Forget what was begun of a batch that was taken, unless a request works on it."""
        with self._lock:
            for key in [key for key, each in self._open.items() if each.digest == digest and key not in self._busy]:
                self._remove(key)

    def digests(self) -> set[str]:
        """Return the digests of what is open."""
        with self._lock:
            return {each.digest for each in self._open.values()}

    def end(self, key: str) -> None:
        """Forget an upload, taken or refused."""
        with self._lock:
            self._remove(key)

    def _remove(self, key: str) -> None:
        self._open.pop(key, None)
        self._folder.remove(f"{key}.part")
        self._folder.remove(f"{key}.json")

    def _forget_old(self) -> None:
        for key in [each for each in self._open if each not in self._busy]:
            if self._rested_s(key) > self._limits.upload_age_s:
                self._remove(key)

    def _load(self) -> None:
        """Take over what an earlier process left, and remove what cannot be continued."""
        names = self._folder.names()
        for name in names:
            key, _, ending = name.rpartition(".")
            if ending == "json" and not key.startswith("."):
                announced = self._announced(name)
                if announced is not None:
                    self._open[key] = announced
        for name in names:
            if name.rpartition(".")[0] not in self._open:
                self._folder.remove(name)

    def _announced(self, name: str) -> Announced | None:
        try:
            return msgspec.json.decode(self._folder.read(name, _META_LIMIT), type=Announced)
        except (msgspec.DecodeError, DamageError):
            return None
