"""Sweeps of a folder as tests ask for them: by one process or two, from the first entry on."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from collectors.contract import Gap
from collectors.reading.sweep_harvest import Crowd, Finding, Harvest
from collectors.reading.sweep_mounts import Plan, Points, Start
from collectors.reading.sweep_pair import walk
from collectors.reading.sweep_question import Budget, Interest, Question

PRIVILEGED = Interest("privileged", mode_any=stat.S_ISUID | stat.S_ISGID)
WRITABLE = Interest("writable", mode_any=stat.S_IWOTH)
CAPABLE = Interest("capable", capabilities=True)
OWNERLESS = Interest("ownerless", ownerless=True)
ANY_NAME = Interest("any", suffixes=("",))
NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")
"""cap_net_raw=ep as security.capability has it."""


def swept(
    root: Path | str,
    *interests: Interest,
    workers: int = 1,
    budget: Budget | None = None,
    route: Plan | None = None,
    users: frozenset[int] = frozenset({0}),
    help_from: int = 0,
) -> Harvest:
    """Return what a walk of a folder brings home; two workers share it from its first folders on."""
    route = route or Plan((Start("/"),), Points(), ())
    question = Question(interests, users, users)
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        return walk(question, route, budget or Budget(), fd, workers=workers, help_from=help_from)
    finally:
        os.close(fd)


def paths(harvest: Harvest, index: int = 0) -> list[str]:
    """Return the paths found for the interest at a place, sorted."""
    return sorted(item.path for item in harvest.found(index) if isinstance(item, Finding))


def crowds(harvest: Harvest, index: int = 0) -> list[Crowd]:
    return [item for item in harvest.found(index) if isinstance(item, Crowd)]


def gaps(harvest: Harvest, index: int = 0) -> list[Gap]:
    return [item for item in harvest.found(index) if isinstance(item, Gap)]


def make(root: Path, files: Iterable[tuple[str, int]]) -> None:
    """Make files of some modes, with the folders above them."""
    for name, mode in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        path.chmod(mode)
