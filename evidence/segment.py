r"""Segment files: the entries of a log, framed so that every byte is accounted for.

A text file that any pager shows. First a header line, then frames, each a line and a body:

    evidenced segment 1 ORIGIN FIRST SHA256\n
    SEQUENCE LENGTH SHA256\n
    BODY\n

FIRST is the sequence of the first frame and, as twelve digits, the name of the file. LENGTH counts the bytes of
BODY. SHA256 is over the line up to the space before it, a newline, and the body (the header has none). BODY is a
DSSE envelope on one line or, for an entry that damage has taken, `lost ` and the hex of its leaf hash, so that
the tree can still be computed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import msgspec

from evidence.dsse import MAX_ENVELOPE
from evidence.errors import NewerStateError
from evidence.tree import HASH_BYTES

FORMAT = 1
SUFFIX = ".seg"
ROLL_BYTES = 4 * 1024 * 1024
"""A segment is not continued past this: what one damaged sector can put in doubt stays small."""
MAX_HEADER = 256
_LOST = b"lost "
_HEADER = re.compile(rb"evidenced segment ([1-9][0-9]{0,8}) (\S{1,100}) ([0-9]{1,15}) ([0-9a-f]{64})\n")
_FRAME = re.compile(rb"([0-9]{1,15}) ([0-9]{1,7}) ([0-9a-f]{64})\n")
_NAME = re.compile(r"[0-9]{12}\.seg\Z")


class Frame(msgspec.Struct, frozen=True):
    """One frame that is whole; `offset` and `length` in bytes include its line."""

    sequence: int
    offset: int
    length: int
    body: bytes

    @property
    def lost_leaf(self) -> bytes | None:
        """Return the leaf hash if this frame stands for an entry that was lost."""
        return bytes.fromhex(self.body[len(_LOST) :].decode()) if self.body.startswith(_LOST) else None


class Break(msgspec.Struct, frozen=True):
    """Bytes from `offset` to `end` that are no whole frame, where the frame of `sequence` was expected."""

    sequence: int
    offset: int
    end: int


def name_of(first: int) -> str:
    """Return the file name of the segment that begins with an entry."""
    return f"{first:012d}{SUFFIX}"


def first_of(name: str) -> int | None:
    """Return the first sequence of a segment by its name, None if the name is not one of a segment."""
    return int(name[: -len(SUFFIX)]) if _NAME.match(name) else None


def header(origin: str, first: int, version: int = FORMAT) -> bytes:
    """Return the header line of a segment."""
    line = f"evidenced segment {version} {origin} {first}".encode()
    return b"%s %s\n" % (line, _digest(line))


def frame(sequence: int, body: bytes) -> bytes:
    """Return the bytes of one frame."""
    line = b"%d %d" % (sequence, len(body))
    return b"%s %s\n%s\n" % (line, _digest(line, body), body)


def lost(leaf: bytes) -> bytes:
    """Return the body that stands for an entry of which only the leaf hash is known."""
    if len(leaf) != HASH_BYTES:
        raise ValueError("a leaf hash has 32 bytes")
    return _LOST + leaf.hex().encode()


def _digest(line: bytes, body: bytes = b"") -> bytes:
    return hashlib.sha256(line + b"\n" + body).hexdigest().encode()


def body_start(data: bytes, origin: str, first: int, where: str) -> int | None:
    """Return where the frames begin, None if the header is damaged.

    Raises: NewerStateError if a later version wrote the file; its hash holds, so it is no flipped bit.
    """
    match = _HEADER.match(data)
    if match is None or _digest(data[: match.start(4) - 1]) != match[4]:
        return None
    if int(match[1]) != FORMAT:
        step = "use the version of evidenced that wrote it, or a later one"
        raise NewerStateError(where, f"a segment of format {FORMAT}", f"format {int(match[1])}", step)
    return match.end() if (match[2], int(match[3])) == (origin.encode(), first) else None


def frames(data: bytes, sequence: int, offset: int) -> Iterator[Frame | Break]:
    """Yield what stands in a segment from `offset`, where the frame of `sequence` is expected.

    After a break it goes on with the next whole frame whose sequence is not lower; a break that reaches the end
    of the bytes is the last thing yielded.
    """
    while offset < len(data):
        found = _frame_at(data, offset)
        if found is not None and found.sequence == sequence:
            yield found
        else:
            after = _resume(data, sequence, offset)
            yield Break(sequence, offset, len(data) if after is None else after.offset)
            if after is None:
                return
            found = after
            yield found
        sequence, offset = found.sequence + 1, found.offset + found.length


def frame_at(data: bytes) -> Frame | None:
    """Return the one frame that these bytes are, None if they are anything else."""
    found = _frame_at(data, 0)
    return found if found is not None and found.length == len(data) else None


def _resume(data: bytes, sequence: int, offset: int) -> Frame | None:
    for match in _FRAME.finditer(data, offset):
        found = _frame_at(data, match.start()) if int(match[1]) >= sequence else None
        if found is not None:
            return found
    return None


def _frame_at(data: bytes, offset: int) -> Frame | None:
    match = _FRAME.match(data, offset)
    if match is None:
        return None
    length = int(match[2])
    end = match.end() + length
    body = data[match.end() : end]
    whole = len(body) == length <= MAX_ENVELOPE and data[end : end + 1] == b"\n"
    if not whole or _digest(data[offset : match.start(3) - 1], body) != match[3]:
        return None
    return Frame(int(match[1]), offset, end + 1 - offset, body)
