"""Measure everything and write docs/benchmarks.md: `python -m bench`; `python -m bench sweep` prints one part.

With `--write` the parts that are named are measured anew on the page, and the others stay.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.figures import page_of, section, sections_of
from bench.part import measure

PARTS = (
    *("sweep", "packages", "commit", "verify", "inventory"),
    *("resident", "change", "day", "backlog", "hub"),
)
PAGE = Path(__file__).parent.parent / "docs/benchmarks.md"


def main(arguments: Sequence[str]) -> int:
    """Measure the parts named, or all; each stands on the page as soon as it is measured."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--write", action="store_true", help="put the parts named into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        sys.stderr.write(f"bench: expected one of {', '.join(PARTS)}, found {', '.join(sorted(unknown))}\n")
        return 2
    for name in options.parts or PARTS:
        # In a process of its own: whatever is started keeps the largest memory of who starts it for its own.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            measured = pool.apply(measure, (name,))
        for each in measured:
            print(
                f"{each.id:4} {each.job:74} {each.ours:>10} {each.theirs:>10} {each.ratio:>6} {each.goal:>7}",
                flush=True,
            )
        if options.write or not options.parts:
            write(name, section(measured, machine()))
    return 0


def write(name: str, text: str, page: Path = PAGE) -> None:
    """Put the section of one part on the page."""
    there = sections_of(page.read_text("utf-8")) if page.exists() else {}
    page.write_text(page_of({**there, name: text}, PARTS), "utf-8")


def machine() -> str:
    """Return what the figures were measured on, in words that name no host."""
    with open("/etc/os-release", encoding="utf-8") as file:
        name = next((line.partition("=")[2].strip('\n"') for line in file if line.startswith("PRETTY_NAME=")), "Linux")
    used = os.statvfs("/")
    load = os.getloadavg()[1]
    return (
        f"{name}, {os.cpu_count()} cores, {used.f_files - used.f_ffree:,} inodes in use, {platform.machine()}, "
        f"Python {platform.python_version()}, with a load of {load:.1f} in the last minutes"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
