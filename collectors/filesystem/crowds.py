"""What one owner has too much of in a folder, told as a gap or as one row a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from collectors.contract import Gap, path_gap
from collectors.reading.sweep import Crowd, Finding


def gap_of(crowd: Crowd) -> Gap:
    """Return the gap that a crowd leaves in a table that lists each file."""
    whose = "of many owners" if crowd.uid is None else f"of uid {crowd.uid}"
    return path_gap(crowd.folder, "truncated", f"too many files {whose} to be listed one by one", count=crowd.count)


def one_a_folder(found: Iterable[Finding | Crowd | Gap]) -> Iterator[Finding | Crowd | Gap]:
    """Yield what was found, and at the end the crowds: several of one folder as one, which names no owner."""
    crowds: dict[str, Crowd] = {}
    for item in found:
        if isinstance(item, Crowd):
            crowds[item.folder] = _together(crowds[item.folder], item) if item.folder in crowds else item
        else:
            yield item
    yield from crowds.values()


def _together(one: Crowd, other: Crowd) -> Crowd:
    uid = one.uid if one.uid == other.uid else None
    return Crowd(one.folder, one.count + other.count, uid, one.gid if one.gid == other.gid else None)
