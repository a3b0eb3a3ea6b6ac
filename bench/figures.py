"""One line of the table of figures, and the page that is made of them."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass

HEAD = ("id", "job", "ours", "theirs", "ratio", "goal")


@dataclass(frozen=True)
class Line:
    """One line of the table of figures."""

    id: str
    job: str
    ours: str
    theirs: str
    ratio: str
    goal: str


def markdown(lines: Iterable[Line], machine: str) -> str:
    """Return docs/benchmarks.md."""
    body = "".join(
        f"| {each.id} | {each.job} | {each.ours} | {each.theirs} | {each.ratio} | {each.goal} |\n" for each in lines
    )
    return (
        "# Benchmarks\n\n"
        "Written by `make bench`. Where a public tool answers the same question, both are whole processes run in turn\n"
        "(A, B, A, B …) on one machine, their findings compared first; a ratio is the median of those of the pairs,\n"
        "ours ÷ theirs, and less is better. Goals are ratios where there is a rival, else figures. Times of a busy\n"
        "machine mean little; ratios mean more. Each part of `bench/` says what it measures, and how, in its first\n"
        "lines; `python -m bench PART` runs one. Ours is the program as packages install it, compiled, with the\n"
        "distribution's interpreter.\n\n"
        f"Measured on {machine}, Python {platform.python_version()}.\n\n"
        f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}\n{body}"
    )
