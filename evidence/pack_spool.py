"""The members of a pack before they are a tar: kept in one unnamed file, since the manifest goes first.

The file has no name, so nothing of it is left behind, however the process ends.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator

import msgspec

from evidence.errors import LimitError
from evidence.pack_tar import MAX_MEMBER

_CHUNK = 1024 * 1024


class Member(msgspec.Struct, frozen=True):
    """A member as the manifest lists it."""

    name: str
    sha256: str
    size: int


class Spool:
    """Members in the order in which they were begun; one is open at a time."""

    def __init__(self, folder: str | None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed by close
        self._hash = hashlib.sha256()
        self._name = ""
        self._size = 0
        self.members: list[Member] = []

    def close(self) -> None:
        """Give the file back; it is gone."""
        self._file.close()

    def begin(self, name: str) -> None:
        """Begin a member."""
        self._name, self._size, self._hash = name, 0, hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Write into the member that was begun."""
        self._size += len(data)
        if self._size > MAX_MEMBER:
            raise LimitError(f"pack member {self._name}", f"at most {MAX_MEMBER} bytes", "more")
        self._hash.update(data)
        self._file.write(data)

    def end(self) -> None:
        """End the member."""
        self.members.append(Member(self._name, self._hash.hexdigest(), self._size))

    def add(self, name: str, data: bytes) -> None:
        """Write a whole member."""
        self.begin(name)
        self.write(data)
        self.end()

    def read(self) -> Iterator[tuple[Member, Iterator[bytes]]]:
        """Yield each member with its content in chunks, which must be used up before the next."""
        self._file.seek(0)
        for member in self.members:
            yield member, self._chunks(member.size)

    def _chunks(self, left: int) -> Iterator[bytes]:
        while left:
            chunk = self._file.read(min(left, _CHUNK))
            left -= len(chunk)
            yield chunk
