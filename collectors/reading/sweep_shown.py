"""What one interest is shown in one folder: owner by owner, so that nobody hides the files of another in a crowd.

Whoever may write into a folder may fill it. That folds his own entries into a number, never those of root, and those
of others only if he has many owners' names to use (subuid(5)): what is held of one folder has its bounds.
"""

from __future__ import annotations

from collections.abc import Iterator

from collectors.reading.facts import ROOT_UID, Facts

MOST_OWNERS = 1000
"""Owners beside root that are told apart in one folder."""
_FULL_SHARES = 10
"""Entries held of all owners but root, in multiples of what one of them may have."""

Sight = tuple[str, Facts, bytes | None]


class Owned:
    """The entries of one owner; `some` is None once there are too many of them, and `uid` if he is not one."""

    __slots__ = ("count", "gids", "some", "uid")

    def __init__(self, uid: int | None) -> None:
        self.uid = uid
        self.count = 0
        self.gids: set[int] = set()
        self.some: list[Sight] | None = [] if uid is not None else None

    @property
    def gid(self) -> int | None:
        """The group of them all; None if they have more than one."""
        return next(iter(self.gids)) if self.uid is not None and len(self.gids) == 1 else None


class Shown:
    """What one interest is shown in one folder, of which it wants at most `crowd` entries of one owner."""

    __slots__ = ("_crowd", "_kept", "_mixed", "_owned")

    def __init__(self, crowd: int) -> None:
        self._crowd = crowd
        self._owned: dict[int, Owned] = {}
        self._kept = 0
        self._mixed: Owned | None = None

    def __iter__(self) -> Iterator[Owned]:
        yield from self._owned.values()
        if self._mixed:
            yield self._mixed

    def add(self, name: str, facts: Facts, capability: bytes | None) -> None:
        """Keep an entry, or count it if its owner has too many."""
        owned = self._owned.get(facts.uid) or self._owner(facts.uid)
        owned.count += 1
        if len(owned.gids) < 2:  # noqa: PLR2004  one group can be named, two are many
            owned.gids.add(facts.gid)
        if owned.some is None:
            return
        owned.some.append((name, facts, capability))
        self._kept += owned.uid != ROOT_UID
        if owned.count > self._crowd:
            self._fold(owned)
        elif self._kept > _FULL_SHARES * self._crowd:
            others = (each for each in self._owned.values() if each.uid != ROOT_UID)
            self._fold(max(others, key=lambda each: len(each.some or ())))

    def _owner(self, uid: int) -> Owned:
        """Return the place of an owner who is seen for the first time, or of all if there are too many of them."""
        if uid != ROOT_UID and not self._mixed and len(self._owned) > MOST_OWNERS:
            self._mix()
        if uid != ROOT_UID and self._mixed:
            return self._mixed
        return self._owned.setdefault(uid, Owned(uid))

    def _fold(self, owned: Owned) -> None:
        if owned.uid != ROOT_UID:
            self._kept -= len(owned.some or ())
        owned.some = None

    def _mix(self) -> None:
        self._mixed = Owned(None)
        self._mixed.count = sum(each.count for each in self._owned.values() if each.uid != ROOT_UID)
        self._owned = {uid: each for uid, each in self._owned.items() if uid == ROOT_UID}
