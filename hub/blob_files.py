"""Blobs of all hosts, each once: `blobs/AA/SHA256`, zlib data as it came.

A request stages what it brings (`Intake`); the committer syncs what several of them staged side by side, names it,
and syncs the folders. A name that stands there is never written again, and its folder is synced once by each
process before anything is promised on it: the one before may have been killed between rename and sync.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from collections.abc import Iterable, Sequence
from functools import partial

from evidence.state import Folder, write_all
from evidence.waiting import all_together, together

_STAGED = ".staged"
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_MAX_STORED = 65 * 1024 * 1024


class Staged:
    """Blobs of one request, written and neither synced nor named yet."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        """Name of the waiting file by digest."""
        self.relied: set[str] = set()
        """Digests that stood there already."""


class BlobFiles:
    """The folder of all blobs."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._prefixes: dict[str, Folder] = {}
        self._opening = threading.Lock()
        self._synced: set[str] = set()
        self._suspect: set[str] = set()

    def close(self) -> None:
        """Close the folders that were opened on the way."""
        for each in self._prefixes.values():
            each.close()
        self._prefixes.clear()

    def sweep(self) -> None:
        """Remove what a killed process left staged; only the one that serves may do this."""
        for name in self._folder.names():
            if name.startswith(_STAGED):
                self._folder.remove(name)

    def holds(self, digest: str) -> bool:
        """Return whether a blob is here."""
        folder = self._in(digest[:2], create=False)
        return folder is not None and digest not in self._suspect and folder.facts(digest) is not None

    def stored(self, digest: str) -> bytes | None:
        """Return a blob's zlib data as it stands, None if it is not here."""
        folder = self._in(digest[:2], create=False) if _DIGEST.match(digest) else None
        try:
            return None if folder is None else folder.read(digest, _MAX_STORED)
        except FileNotFoundError:
            return None

    def stage(self, staged: Staged, digest: str, zlib_data: bytes) -> None:
        """Write a blob that waits for its name, unless it is here."""
        if digest in staged.files:
            return
        if self.holds(digest):
            staged.relied.add(digest)
            return
        name = f"{_STAGED}.{secrets.token_hex(8)}"
        descriptor = self._folder.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        staged.files[digest] = name
        try:
            write_all(descriptor, zlib_data)
        finally:
            os.close(descriptor)

    def discard(self, staged: Staged) -> None:
        """Remove what was staged for nothing."""
        for name in staged.files.values():
            with contextlib.suppress(OSError):
                self._folder.remove(name)
        staged.files.clear()

    def settle(self, requests: Sequence[Staged]) -> None:
        """Make the blobs of several requests durable under their names; none may be believed in if it raises.

        Raises: OSError.
        """
        all_together([partial(self._sync_file, name) for each in requests for name in each.files.values()])
        prefixes = {digest[:2] for each in requests for digest in each.files}
        for each in requests:
            prefixes |= {digest[:2] for digest in each.relied if digest[:2] not in self._synced}
            for digest, name in each.files.items():
                self._publish(digest, name)
            each.files.clear()
        self._sync_folders(sorted(prefixes))

    def _sync_file(self, name: str) -> None:
        descriptor = self._folder.open(name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _publish(self, digest: str, name: str) -> None:
        target = self._in(digest[:2], create=True)
        if target is None:
            raise FileNotFoundError(digest)
        self._suspect.add(digest)  # until its folder is synced
        os.rename(name, digest, src_dir_fd=self._folder.descriptor, dst_dir_fd=target.descriptor)

    def _sync_folders(self, prefixes: Iterable[str]) -> None:
        """Make names durable. After an error a second fsync may lie, so what it was for is written anew."""
        calls = [(each, folder.sync) for each in prefixes if (folder := self._in(each, create=False)) is not None]
        ends = together([sync for _, sync in calls])
        for (prefix, _), error in zip(calls, ends, strict=True):
            if error is not None:
                self._synced.discard(prefix)
                raise error
            self._synced.add(prefix)
            self._suspect = {each for each in self._suspect if not each.startswith(prefix)}

    def _in(self, prefix: str, *, create: bool) -> Folder | None:
        with self._opening:
            if prefix not in self._prefixes:
                try:
                    self._prefixes[prefix] = self._folder.folder(prefix, create=create)
                except FileNotFoundError:
                    return None
            return self._prefixes[prefix]
