"""One line of a table of figures, and the page that is made of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

HEAD = ("id", "job", "ours", "theirs", "ratio", "goal")
INTRODUCTION = """\
# Benchmarks

Written by `make bench`. Where a public tool answers the same question, both are whole processes run in turn
(A, B, A, B …) on one machine, their findings compared first; a ratio is the median of those of the pairs,
ours ÷ theirs, and less is better. Goals are ratios where there is a rival, else figures. Times of a busy
machine mean little; ratios mean more. Each part of `bench/` says what it measures, and how, in its first
lines; `python -m bench PART` prints one, and with `--write` puts it here. Ours is the program as packages
install it, compiled, with the distribution's interpreter.
"""
_SECTION = re.compile(r"^## (\S+)\n\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Line:
    """One line of a table of figures."""

    id: str
    job: str
    ours: str
    theirs: str
    ratio: str
    goal: str


def section(lines: Iterable[Line], machine: str) -> str:
    """Return the figures of one part, and what they were measured on."""
    body = "".join(
        f"| {each.id} | {each.job} | {each.ours} | {each.theirs} | {each.ratio} | {each.goal} |\n" for each in lines
    )
    return f"Measured on {machine}.\n\n| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}\n{body}"


def sections_of(page: str) -> dict[str, str]:
    """Return the sections of a page, by part."""
    return {name: text.rstrip("\n") + "\n" for name, text in _SECTION.findall(page)}


def page_of(sections: Mapping[str, str], order: Sequence[str]) -> str:
    """Return docs/benchmarks.md."""
    return "\n".join([INTRODUCTION, *(f"## {name}\n\n{sections[name]}" for name in order if name in sections)])
