"""One sweep of a tree and nothing else: what `bench.sweep` measures, as a process of its own."""

from __future__ import annotations

import os
import stat
import sys

from collectors.reading.mounts import parse_mountinfo
from collectors.reading.sweep_harvest import Finding
from collectors.reading.sweep_mounts import plan
from collectors.reading.sweep_pair import walk
from collectors.reading.sweep_question import Budget, Interest, Question

NAMES = frozenset({"package-lock.json", "Cargo.lock", "yarn.lock", "poetry.lock", "go.sum", "composer.lock"})
SUFFIXES = (".pem", ".crt", ".p12")
EVERY = sys.maxsize
INTERESTS = (
    Interest("privileged", mode_any=stat.S_ISUID | stat.S_ISGID, crowd=EVERY),
    Interest("writable", mode_any=stat.S_IWOTH, crowd=EVERY),
    Interest("capable", capabilities=True, crowd=EVERY),
    Interest("named", names=NAMES, suffixes=SUFFIXES, kinds=frozenset({"file"}), crowd=EVERY),
)


def main() -> None:
    """Sweep from the root folder named first; with `--show`, print each finding as `INTEREST PATH`, NUL between."""
    root, *options = sys.argv[1:]
    with open("/proc/self/mountinfo", "rb") as file:
        route = plan(parse_mountinfo(file.read()) if root == "/" else ())
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    workers = min(len(os.sched_getaffinity(0)), 2)
    harvest = walk(Question(INTERESTS, None, None), route, Budget(), fd, workers=workers)
    if "--show" not in options:
        return
    for index, interest in enumerate(INTERESTS):
        for item in harvest.found(index):
            if isinstance(item, Finding):
                sys.stdout.buffer.write(os.fsencode(f"{interest.name} {item.path}") + b"\0")
            else:
                print(f"bench: not seen: {item}", file=sys.stderr)


if __name__ == "__main__":
    main()
