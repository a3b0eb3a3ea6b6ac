"""The one walk of the file system: each table registers what it looks for, the tree is walked once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from collectors.contract import Gap
from collectors.reading.errors import ReadError
from collectors.reading.mounts import Mount
from collectors.reading.owners import Owners, read_owners
from collectors.reading.sweep_harvest import Crowd, Finding, Harvest
from collectors.reading.sweep_mounts import MountMap, plan
from collectors.reading.sweep_pair import walk
from collectors.reading.sweep_question import Budget, Interest, Question
from collectors.reading.sweep_recorded import walk_recording

if TYPE_CHECKING:
    from collectors.reading.host import Host

__all__ = ["Budget", "Crowd", "Finding", "Interest", "Swept", "mount_map", "prepare", "sweep_found"]


class Swept(msgspec.Struct, frozen=True):
    """What one walk found for some interests; kept with the host, so that each table takes its own."""

    interests: tuple[Interest, ...]
    harvest: Harvest
    owners: Owners
    gaps: tuple[Gap, ...]

    def found(self, interest: Interest) -> Iterator[Finding | Crowd | Gap]:
        """Yield what one interest was shown, and all that the walk could not see: any of it may have mattered."""
        yield from self.harvest.found(self.interests.index(interest))
        yield from self.gaps
        if interest.ownerless:
            yield from self.owners.gaps


def prepare(host: Host, interests: Sequence[Interest], *, budget: Budget | None = None, workers: int = 0) -> None:
    """Walk the host's tree once for all interests; `host.found` then only hands out what was found.

    `workers` is 1 or 2; 0 means two if there are two processors to run them.
    """
    owners = read_owners(host)
    question = Question(interests, _ids(owners.users), _ids(owners.groups))
    budget = budget or Budget()
    mounts, gaps = _mounts(host)
    route = plan(mounts)
    if host.recording:
        harvest = walk_recording(question, host.recording, mounts, budget)
    else:
        workers = workers or min(len(os.sched_getaffinity(0)), 2)
        harvest = walk(question, route, budget, host.tree.fd, workers=workers)
    host.swept = Swept(question.interests, harvest, owners, (*gaps, *route.gaps))


def sweep_found(host: Host, interest: Interest) -> Iterator[Finding | Crowd | Gap]:
    """Yield what the walk found for an interest; walks for it alone if nobody has prepared it."""
    if host.swept is None or interest not in host.swept.interests:
        prepare(host, (interest,))
    swept: Swept | None = host.swept
    if swept is not None:
        yield from swept.found(interest)


def mount_map(host: Host) -> MountMap:
    """Return which mount each path is in; empty if the host's mounts cannot be listed."""
    return MountMap(_mounts(host)[0])


def _ids(names: dict[int, str] | None) -> frozenset[int] | None:
    return None if names is None else frozenset(names)


def _mounts(host: Host) -> tuple[tuple[Mount, ...], tuple[Gap, ...]]:
    """Return the host's mounts; without their list only the root's own file system is walked."""
    try:
        return host.mounts(), ()
    except ReadError as error:
        return (), (error.gap(),)
