"""Measure everything and write docs/benchmarks.md: `python -m bench`, or `python -m bench sweep` to print one part."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.figures import Line, markdown

PARTS = (
    *("sweep", "packages", "commit", "verify", "inventory"),
    *("resident", "change", "day", "backlog", "hub"),
)
PAGE = Path(__file__).parent.parent / "docs/benchmarks.md"


def main(arguments: Sequence[str]) -> int:
    """Measure the parts named, or all and write the page."""
    unknown = set(arguments) - set(PARTS)
    if unknown:
        sys.stderr.write(f"bench: expected one of {', '.join(PARTS)}, found {', '.join(sorted(unknown))}\n")
        return 2
    lines: list[Line] = []
    for name in arguments or PARTS:
        measured = part(name)()
        for each in measured:
            print(
                f"{each.id:4} {each.job:74} {each.ours:>10} {each.theirs:>10} {each.ratio:>6} {each.goal:>7}",
                flush=True,
            )
        lines += measured
    if not arguments:
        PAGE.write_text(markdown(lines, machine()), "utf-8")
    return 0


def part(name: str) -> Callable[[], list[Line]]:
    """Return what measures one part."""
    rows: Callable[[], list[Line]] = importlib.import_module(f"bench.{name}").rows
    return rows


def machine() -> str:
    """Return what the figures were measured on, in words that name no host."""
    with open("/etc/os-release", encoding="utf-8") as file:
        name = next((line.partition("=")[2].strip('\n"') for line in file if line.startswith("PRETTY_NAME=")), "Linux")
    used = os.statvfs("/")
    load = os.getloadavg()[2]
    return (
        f"{name}, {os.cpu_count()} cores, {used.f_files - used.f_ffree:,} inodes in use, {platform.machine()}, "
        f"with a load of {load:.1f} meanwhile (the last quarter of an hour)"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
