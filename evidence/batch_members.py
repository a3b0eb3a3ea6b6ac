"""The members of a batch in their order, as its manifest announces them."""

from __future__ import annotations

from collections.abc import Iterator

from evidence import dsse
from evidence.batch_form import Manifest
from evidence.batch_tar import TarReader
from evidence.errors import FormatError, LimitError
from evidence.pack_members import BUNDLE
from evidence.pack_spool import Member

SMALL = 64 * 1024
"""As much as one form of a key or checkpoint takes."""
_CHUNK = 64 * 1024


class Members:
    """Gives the members one by one, each with the size and SHA-256 that the manifest says."""

    def __init__(self, tar: TarReader, manifest: Manifest) -> None:
        self._tar = tar
        self._listed = manifest.members
        self._entries = manifest.counts.entries
        self._at = 0

    @property
    def left(self) -> int:
        """Return how many members are still to come."""
        return len(self._listed) - self._at

    def begin(self) -> Member:
        """Go to the next member. Raises: FormatError."""
        member = self._listed[self._at]
        self._at += 1
        self._tar.next(member)
        return member

    def read(self, count: int) -> bytes:
        """Return so many bytes of the member, fewer only at its end. Raises: FormatError."""
        return self._tar.read(count)

    def end(self, member: Member) -> None:
        """Leave the member, which was read to its end. Raises: FormatError."""
        self._tar.end(member)

    def whole(self, limit: int = SMALL) -> tuple[str, bytes]:
        """Return the next member, its name and its bytes. Raises: FormatError, LimitError."""
        member = self.begin()
        if member.size > limit:
            raise LimitError(member.name, f"at most {limit} bytes", f"{member.size}")
        data = self._tar.read(member.size)
        self._tar.end(member)
        return member.name, data

    def lines(self) -> Iterator[tuple[str, bytes]]:
        """Yield each envelope, and where it stands. Raises: FormatError, LimitError."""
        left = self._entries
        while left > 0:
            member = self.begin()
            count = 0
            for count, line in enumerate(self._lines_of(member), 1):
                yield f"{member.name} line {count}", line
            if count != min(left, BUNDLE):
                raise FormatError(member.name, f"{min(left, BUNDLE)} entries", f"{count}")
            self._tar.end(member)
            left -= count

    def _lines_of(self, member: Member) -> Iterator[bytes]:
        kept = b""
        while chunk := self._tar.read(_CHUNK):
            *lines, kept = (kept + chunk).split(b"\n")
            yield from lines
            if len(kept) > dsse.MAX_ENVELOPE:
                raise LimitError(member.name, f"lines of at most {dsse.MAX_ENVELOPE} bytes", "a longer one")
        if kept:
            raise FormatError(member.name, "a newline at its end", "none")

    def finish(self) -> None:
        """Check that nothing follows the last member. Raises: FormatError."""
        self._tar.finish()
