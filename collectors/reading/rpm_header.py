"""One package header of an rpm database, bounded: an index of 16-byte entries and a store of their data.

Layout: number of entries, size of the store (4 bytes each, big endian), the entries (tag, type, offset, count),
the store. The first entry may be a region, whose last 16 bytes in the store point back over the entries that
were signed; what rpm added at install time stands behind them.
Source: rpm's docs/manual/format_header.md and the checks of lib/header.c (hdrblobVerifyInfo).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Mapping

import msgspec

from collectors.contract import MalformedError

MOST_ENTRIES = 0xFFFF  # hdrchkTags in lib/header.c
MOST_BYTES = 32 << 20  # the largest header of a real package is about 10 MiB
LONGEST_TEXT = 64 << 10

PREFIX = struct.Struct(">II")
ENTRY = struct.Struct(">IIiI")

CHAR, INT16, INT32, INT64, STRING, BINARY, STRING_ARRAY, I18N_STRING = 1, 3, 4, 5, 6, 7, 8, 9
LAST_TYPE = 9
REGIONS = frozenset((61, 62, 63))  # image, signatures, immutable
TEXTS = frozenset((STRING, STRING_ARRAY, I18N_STRING))
NUMBERS = {
    CHAR: struct.Struct(">B"),
    INT16: struct.Struct(">H"),
    INT32: struct.Struct(">I"),
    INT64: struct.Struct(">Q"),
}


class Header(msgspec.Struct, frozen=True):
    """A header whose every entry points into its store; values are taken out, and checked, when asked for."""

    index: Mapping[int, tuple[int, int, int]]
    """Type, offset and count by tag."""
    store: bytes

    def count(self, tag: int) -> int:
        """Return how many values a tag says it has; 0 if the header has no such tag."""
        return self.index[tag][2] if tag in self.index else 0

    def text(self, tag: int, at: int = 0) -> str | None:
        """Return a text (of a translated or repeated one that `at` a place), or None if the header has no such tag.

        What is not UTF-8 is kept with backslash escapes.
        Raises: MalformedError if it is no text, there is none at that place, or one does not end within the
        store and 64 KiB.
        """
        if tag not in self.index:
            return None
        raw = next(itertools.islice(self.texts(tag), at, None), None)
        if raw is None:
            raise MalformedError(f"text {at + 1} at tag {tag}", f"count {self.count(tag)}")
        return raw.decode("utf-8", "backslashreplace")

    def texts(self, tag: int) -> Iterator[bytes]:
        """Yield the texts of a tag as they are, none if the header has no such tag; one is held at a time.

        Raises: MalformedError, when it comes to it, as `text` does.
        """
        kind, offset, count = self.index.get(tag, (STRING_ARRAY, 0, 0))
        if kind not in TEXTS:
            raise MalformedError(f"text at tag {tag}", f"type {kind}")
        for _ in range(count):
            end = self.store.find(b"\0", offset, offset + LONGEST_TEXT)
            if end < 0:
                raise MalformedError(f"a NUL at the end of the text at tag {tag}", "none")
            yield self.store[offset:end]
            offset = end + 1

    def number(self, tag: int, at: int = 0) -> int | None:
        """Return a number (of several that `at` a place), or None if the header has no such tag.

        Raises: MalformedError if it is no number of 8, 16, 32 or 64 bits, there is none at that place, or it is
        misaligned or not all in the store.
        """
        if tag not in self.index:
            return None
        kind, offset, count = self.index[tag]
        form = NUMBERS.get(kind)
        if form is None or at >= count:
            raise MalformedError(f"number {at + 1} at tag {tag}", f"type {kind}, count {count}")
        if offset % form.size or offset + (at + 1) * form.size > len(self.store):
            raise MalformedError(f"an aligned number inside the store at tag {tag}", f"offset {offset}")
        number: int = form.unpack_from(self.store, offset + at * form.size)[0]
        return number


def parse_header(blob: bytes) -> Header:
    """Return the header of one database record; where a tag stands twice, the later one (added last) counts.

    Raises: MalformedError if a length, type, offset, count or the region is not as the format has it.
    """
    if len(blob) < PREFIX.size:
        raise MalformedError(f"at least {PREFIX.size} bytes", f"{len(blob)}")
    entries, size = PREFIX.unpack_from(blob)
    if not 0 < entries <= MOST_ENTRIES:
        raise MalformedError(f"1 to {MOST_ENTRIES} entries", f"{entries}")
    start = PREFIX.size + entries * ENTRY.size
    if len(blob) != start + size:
        raise MalformedError(f"{start + size} bytes by its own lengths", f"{len(blob)}")
    store = blob[start:]
    index: dict[int, tuple[int, int, int]] = {}
    for tag, kind, offset, count in ENTRY.iter_unpack(blob[PREFIX.size : start]):
        if not (0 <= kind <= LAST_TYPE and 0 <= offset <= size and count <= size):
            raise MalformedError(
                "each entry of a known type and inside the store",
                f"tag {tag}, type {kind}, offset {offset}, count {count}",
            )
        index[tag] = kind, offset, count
    _check_region(blob, store, entries)
    return Header(index, store)


def _check_region(blob: bytes, store: bytes, entries: int) -> None:
    tag, kind, offset, count = ENTRY.unpack_from(blob, PREFIX.size)
    if tag not in REGIONS:
        return  # made by an rpm older than 4.0, or not signed at all
    if kind != BINARY or count != ENTRY.size or offset + ENTRY.size > len(store):
        raise MalformedError("a region of 16 bytes in the store", f"type {kind}, offset {offset}, count {count}")
    trailer, kind, back, count = ENTRY.unpack_from(store, offset)
    covered, rest = divmod(-back, ENTRY.size)
    if trailer not in REGIONS or kind != BINARY or count != ENTRY.size or rest or not 0 < covered <= entries:
        raise MalformedError(f"a region over 1 to {entries} entries", f"{-back} bytes of them, tag {trailer}")
