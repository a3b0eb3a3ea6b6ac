"""P10: a dpkg database of 20,000 packages, side by side with `dpkg-query -W`.

    python3 -m bench.packages [PAIRS]

Whole processes in turn (ours, theirs, ours, theirs …), CPU from the child's own rusage, medians of the ratios of
pairs. The database is made of this machine's own stanzas, renamed. Two jobs of ours are measured against the one
of theirs: the same question (names and versions), and the whole table with every column and package URL.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import msgspec

from collectors.reading.host import Host
from collectors.software.packages import collect

PACKAGES = 20_000
PAIRS = 9
GOAL = 0.8
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
"""The distribution's own where there is one: what a package of ours would be run by."""
SAME_QUESTION = (PYTHON, "-I", "-S", str(Path(__file__).with_name("packages_once.py")))
WHOLE_TABLE = (sys.executable, "-m", "bench.packages", "--table")
KIB_IN_MIB = 1024


@dataclass(frozen=True)
class Run:
    """What one process took."""

    wall_s: float
    cpu_s: float
    peak_kib: int


def make_database(root: Path, count: int = PACKAGES) -> Path:
    """Write a status file of `count` packages below a root and return dpkg's folder in it."""
    stanzas = [each for each in Path("/var/lib/dpkg/status").read_bytes().split(b"\n\n") if each.strip()]
    folder = root / "var/lib/dpkg"
    for each in ("info", "updates", "triggers"):
        (folder / each).mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text("ID=debian\nVERSION_ID=12\n")
    with open(folder / "status", "wb") as file:
        for number, stanza in zip(range(count), itertools.cycle(stanzas)):
            name, _, rest = stanza.strip(b"\n").partition(b"\n")
            suffix = b"" if number < len(stanzas) else b"-x%d" % (number // len(stanzas))
            file.write(b"%b%b\n%b\n\n" % (name, suffix, rest))
    return folder


def run(command: Sequence[str]) -> Run:
    """Return what a process took; its output is dropped."""
    start = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"bench: {command[0]}: expected exit 0, found {process.returncode}")
    return Run(perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def compare(name: str, ours: Sequence[str], theirs: Sequence[str], pairs: int) -> None:
    """Print one line: medians of the ratios of pairs, and what a process of each took in the middle."""
    run(ours), run(theirs)  # warm both
    both = [(run(ours), run(theirs)) for _ in range(pairs)]
    cpu = statistics.median(a.cpu_s / b.cpu_s for a, b in both)
    wall = statistics.median(a.wall_s / b.wall_s for a, b in both)
    took = [statistics.median(each[side].cpu_s for each in both) for side in (0, 1)]
    peak = [max(each[side].peak_kib for each in both) // KIB_IN_MIB for side in (0, 1)]
    print(f"| P10 | {name} | {cpu:.2f} | {wall:.2f} | {took[0]:.3f} / {took[1]:.3f} | {peak[0]} / {peak[1]} |")


def listed(command: Sequence[str]) -> list[str]:
    """Return the sorted lines that a process prints."""
    return sorted(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines())


def whole_table(root: str) -> None:
    """Print every row of the table as canonical JSON lines."""
    encode = msgspec.json.Encoder(order="sorted").encode
    sys.stdout.buffer.writelines(encode(each) + b"\n" for each in collect(Host(root, secret=b"bench")))


def main() -> None:
    """Compare, after both said the same; or print the table, as the process that is measured."""
    if sys.argv[1:2] == ["--table"]:
        whole_table(sys.argv[2])
        return
    pairs = int(sys.argv[1]) if sys.argv[1:] else PAIRS
    with tempfile.TemporaryDirectory() as root:
        folder = make_database(Path(root))
        theirs = ("dpkg-query", f"--admindir={folder}", "-W")
        ours = (*SAME_QUESTION, str(folder / "status"))
        if listed(ours) != listed(theirs):
            sys.exit("bench: dpkg-query -W: expected the same list as ours, found another")
        print(f"{PACKAGES:,} packages; goal {GOAL}; ours ÷ dpkg-query -W, {pairs} pairs\n")
        print("| id | job | CPU | wall | CPU s | peak MiB |")
        print("| --- | --- | --- | --- | --- | --- |")
        compare("names and versions", ours, theirs, pairs)
        compare("whole table, 21 columns", (*WHOLE_TABLE, root), theirs, pairs)


if __name__ == "__main__":
    main()
