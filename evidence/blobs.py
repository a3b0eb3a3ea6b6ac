"""Blobs: content-addressed files, `blobs/AA/SHA256`, zlib inside (docs/formats.md, sections 2 and 7).

A blob is in place only when its bytes are on disk, so a name that can be seen can be read. Names themselves are
made durable folder by folder, for new blobs and for those that stood there already: an earlier process may have
been killed between its rename and its sync.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from evidence.errors import DamageError, LimitError
from evidence.state import Folder, staged
from evidence.waiting import all_together, together

MAX_BYTES = 64 * 1024 * 1024
_MAX_STORED = MAX_BYTES + MAX_BYTES // 1000 + 4096
_LEVEL = 6
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def digest(data: bytes) -> str:
    """Return the name of a blob."""
    return hashlib.sha256(data).hexdigest()


def deflated(data: bytes) -> bytes:
    """Return a blob's bytes as they are stored."""
    return zlib.compress(data, _LEVEL)


class Blobs:
    """The folder of all blobs; `set_aside` takes a damaged file out of the way of a writer."""

    def __init__(self, folder: Folder, set_aside: Callable[[Folder, str], None] | None = None) -> None:
        self._folder = folder
        self._set_aside = set_aside
        self._open: dict[str, Folder] = {}
        self._durable: set[str] = set()
        self._suspect: set[str] = set()
        self._made: set[str] = set()

    def close(self) -> None:
        """Close the folders that were opened on the way."""
        for each in self._open.values():
            each.close()
        self._open.clear()

    def put(self, blobs: Mapping[str, bytes]) -> None:
        """Store blobs by digest; all are durable when this returns, and none is believed stored if it raises.

        A blob that stands there is read and compared: bytes in hand heal a damaged file.
        Raises: OSError; LimitError past 64 MiB.
        """
        missing = [each for each, data in blobs.items() if not self._holds(each, data)]
        prefixes = {each[:2] for each in blobs if each not in self._durable}.union(each[:2] for each in missing)
        self._make_folders(prefixes)
        try:
            self._write(missing, blobs)
        except OSError:
            self._discard(missing)
            raise
        self._sync(prefixes)
        self._durable.update(blobs)

    def _write(self, names: list[str], blobs: Mapping[str, bytes]) -> None:
        all_together([partial(self._stage, each, blobs[each]) for each in names])
        for each in names:
            self._in(each).publish(each)

    def _stage(self, name: str, data: bytes) -> None:
        self._in(name).stage(name, deflated(data))
        self._in(name).sync_staged(name)

    def _discard(self, names: list[str]) -> None:
        for each in names:
            with contextlib.suppress(OSError):
                self._in(each).discard(each)

    def _make_folders(self, prefixes: set[str]) -> None:
        """Open folders, making those that are missing, and make their names durable: a killed process may not have."""
        for each in sorted(prefixes):
            self._in_made(each)
        if prefixes - self._made:
            self._folder.sync()
        self._made |= prefixes

    def _in_made(self, prefix: str) -> Folder:
        if prefix not in self._made:
            self._folder.make(prefix)
        return self._in(prefix)

    def _holds(self, name: str, data: bytes) -> bool:
        if len(data) > MAX_BYTES:
            raise LimitError("blob", f"at most {MAX_BYTES} bytes", f"{len(data)}")
        if name in self._durable:
            return True
        try:
            return self.get(name) == data and name[:2] not in self._suspect
        except DamageError:
            if self._set_aside is not None:
                self._set_aside(self._in(name), name)
            return False

    def _sync(self, prefixes: Iterable[str]) -> None:
        """Make the names in some folders durable.

        After an error the kernel may call the next attempt a success without having written anything, so the
        names are then made again, through a new descriptor.
        """
        ordered = sorted(prefixes)
        ends = together([self._in(each).sync for each in ordered])
        for prefix, error in zip(ordered, ends, strict=True):
            if error is None:
                self._suspect.discard(prefix)
            else:
                self._suspect.add(prefix)
                self._durable = {each for each in self._durable if not each.startswith(prefix)}
                self._open.pop(prefix).close()
        for error in ends:
            if error is not None:
                raise error

    def get(self, name: str) -> bytes | None:
        """Return a blob's bytes, None if it is not there.

        Raises: DamageError when the file does not hold what its name says.
        """
        stored = self.stored(name)
        if stored is None:
            return None
        data = inflated(stored, MAX_BYTES)
        if data is None or digest(data) != name:
            raise DamageError(self._in(name).where(name), "the bytes its name is the hash of", "others")
        return data

    def stored(self, name: str) -> bytes | None:
        """Return a blob's zlib data as it stands, unchecked; None if it is not there. Raises: DamageError."""
        try:
            return self._in(name).read(name, _MAX_STORED)
        except FileNotFoundError:
            return None

    def stored_size(self, name: str) -> int:
        """Return how many bytes are kept of a blob; 0 if it is not there."""
        try:
            facts = self._in(name).facts(name)
        except FileNotFoundError:
            return 0
        return 0 if facts is None else facts.st_size

    def names(self, start: str = "") -> Iterator[str]:
        """Yield the digests of all blobs, sorted; with `start`, of one folder."""
        for prefix in self._folder.names():
            if len(prefix) == 2 and start in ("", prefix):  # noqa: PLR2004  AA
                yield from (each for each in self._in(prefix).names() if _DIGEST.match(each))

    def remove(self, names: Iterable[str]) -> None:
        """Remove blobs; those that are gone already count as removed."""
        folders = set()
        for name in names:
            self._durable.discard(name)
            try:
                self._in(name).remove(name)
            except FileNotFoundError:
                continue  # the folder is gone, and the blob with it
            folders.add(name[:2])
        self._sync(folders)

    def folder_of(self, name: str) -> Folder:
        """Return the folder that a blob stands in."""
        return self._in(name)

    def sweep(self, prefix: str) -> None:
        """Remove what killed processes left half-written in one folder."""
        folder = self._in(prefix)
        for each in folder.names():
            if each.startswith(".") and each == staged(each[1 : 1 + 64]):
                folder.remove(each)

    def _in(self, name: str) -> Folder:
        """Return the open folder of a digest or of its first two digits."""
        prefix = name[:2]
        if prefix not in self._open:
            self._open[prefix] = self._folder.folder(prefix)
        return self._open[prefix]


def inflated(stored: bytes, limit: int) -> bytes | None:
    """Return what zlib data holds; None if it is damaged, is followed by more, or would pass `limit` bytes."""
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(stored, limit + 1)
    except zlib.error:
        return None
    whole = inflater.eof and not inflater.unused_data and not inflater.unconsumed_tail
    return data if whole and len(data) <= limit else None
