"""What the segments of a log really hold, compared with what they must hold; and how they are mended.

A segment ends where the next one begins: frames behind that point were never committed (their sync failed) and
are passed over. A lost entry keeps its place: a frame with its leaf hash takes it, so that the tree stays whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from evidence import dsse, entry, segment, strict_base64
from evidence.errors import DamageError, FormatError
from evidence.keys import PrivateKey
from evidence.order import id_of
from evidence.quarantine import Finding, Quarantine
from evidence.segment import Break, Frame
from evidence.state import Folder
from evidence.tree import leaf_hash

_READ_LIMIT = 64 * 1024 * 1024
_TWICE_SIGNED = "key-rotated"
_PAYLOAD = re.compile(rb'"payload":"([A-Za-z0-9+/]+={0,2})"')


class Segment(msgspec.Struct):
    """One segment file as it was read: frames by sequence, and what is no frame."""

    first: int
    data: bytes
    start: int | None
    frames: dict[int, Frame] = {}
    breaks: list[Break] = []

    @property
    def behind(self) -> int:
        """Return the sequence after the last whole frame."""
        return max(self.frames, default=self.first - 1) + 1

    def end(self, stop: int) -> int:
        """Return the offset behind the last whole frame below `stop`."""
        kept = [each for each in self.frames.values() if each.sequence < stop]
        return max((each.offset + each.length for each in kept), default=self.start or 0)

    def whole(self, stop: int) -> bool:
        """Return whether each entry up to `stop` is there, and nothing between them that is no frame."""
        there = self.start is not None and all(each in self.frames for each in range(self.first, stop))
        return there and not any(each.offset < self.end(stop) for each in self.breaks)


def firsts(segments: Folder) -> list[int]:
    """Return where the segments begin, in order."""
    found = (segment.first_of(name) for name in segments.names())
    return sorted(each for each in found if each is not None)


def read(segments: Folder, origin: str, first: int) -> Segment:
    """Return what a segment holds; one that is not there holds nothing.

    Raises: DamageError when it is too large to be one of ours; NewerStateError.
    """
    name = segment.name_of(first)
    try:
        data = segments.read(name, _READ_LIMIT)
    except FileNotFoundError:
        return Segment(first, b"", None)
    start = segment.body_start(data, origin, first, segments.where(name))
    found = Segment(first, data, start)
    # A damaged header says nothing about the frames behind it: each carries its own hash.
    for each in segment.frames(data, first, start or 0):
        if isinstance(each, Break):
            found.breaks.append(each)
        else:
            found.frames[each.sequence] = each
    return found


def drop_foreign(found: Segment, leaves: Sequence[bytes]) -> None:
    """Take out whole frames that are not the entries of this tree, as far as its leaves are known."""
    for at, each in list(found.frames.items()):
        if at < len(leaves) and leaf_or_none(each) != leaves[at]:
            found.breaks.append(Break(at, each.offset, each.offset + each.length))
            del found.frames[at]


def leaf_or_none(frame: Frame) -> bytes | None:
    """Return the leaf of a frame, None if its body is no envelope."""
    try:
        return entry.leaf_of(frame)
    except DamageError:
        return None


class Place(msgspec.Struct, frozen=True):
    """Where the segments of one log are mended; `key` is None once it was destroyed."""

    segments: Folder
    origin: str
    key: PrivateKey | None
    quarantine: Quarantine


def mend(found: Segment, stop: int, leaves: Sequence[bytes], place: Place) -> Segment:
    """Write a segment anew up to `stop` from its whole frames; the damaged bytes go to quarantine first.

    An entry whose payload is still there is signed again, which gives the same bytes; of any other the leaf hash
    keeps its place. Raises: DamageError when there is no leaf for a lost entry; OSError.
    """
    name = segment.name_of(found.first)
    bodies = _bodies(found, stop, leaves, place.key)
    lost = [at for at, body in bodies.items() if at not in found.frames and body == segment.lost(leaves[at])]
    names = tuple(f"{place.origin} {at}" for at in lost)
    finding = Finding(
        part="segment",
        where=f"{id_of(place.origin)}/{name}",
        found="frames that are not as they were written" if found.data else "no file",
        count=_newly_lost(set(names), place.quarantine),
        names=names,
    )
    if found.data:
        place.quarantine.keep(found.data, name, finding)
    else:
        place.quarantine.note(finding)
    framed = [segment.frame(at, body) for at, body in bodies.items()]
    place.segments.replace(name, b"".join([segment.header(place.origin, found.first), *framed]))
    return read(place.segments, place.origin, found.first)


def _newly_lost(names: set[str], quarantine: Quarantine) -> int:
    """Return how many entries no report has counted yet; all that are to be named again, if it is none of them.

    The event that named them may be lost, and to a verifier a finding that counts 0 names nothing.
    """
    waiting = {
        name
        for each in quarantine.unrecorded().values()
        if each.part == "segment" and each.count
        for name in each.names
    }
    return len(names - quarantine.reported("segment")) or len(names - waiting)


def _bodies(found: Segment, stop: int, leaves: Sequence[bytes], key: PrivateKey | None) -> dict[int, bytes]:
    """Return the body of each entry up to `stop`: as it stands, signed again, or the mark of a lost one."""
    missing = [at for at in range(found.first, stop) if at not in found.frames]
    if missing and missing[-1] >= len(leaves):
        raise DamageError(segment.name_of(found.first), f"the leaf of entry {missing[-1]} in the index", "none")
    rebuilt = _signed_again(found, {leaves[at] for at in missing}, key)
    bodies = {at: each.body for at, each in found.frames.items() if at < stop}
    bodies.update((at, rebuilt.get(leaves[at], segment.lost(leaves[at]))) for at in missing)
    return dict(sorted(bodies.items()))


def _signed_again(found: Segment, wanted: set[bytes], key: PrivateKey | None) -> dict[bytes, bytes]:
    """Return the envelopes, by leaf, of payloads that survived where no frame is whole."""
    if key is None:
        return {}
    bodies = {}
    for each in found.breaks:
        for match in _PAYLOAD.finditer(found.data, each.offset, each.end):
            payload = _decoded(match[1])
            if leaf_hash(payload) in wanted and entry.kind_of(entry.statement_of(payload)) != _TWICE_SIGNED:
                bodies[leaf_hash(payload)] = dsse.sign(payload, [key]).encode()
    return bodies


def _decoded(text: bytes) -> bytes:
    try:
        return strict_base64.decode(text.decode("ascii"), "segment")
    except FormatError:
        return b""
