"""P10: a dpkg database of 20,000 packages, side by side with `dpkg-query -W`.

The database is made of this machine's own stanzas, renamed. Two jobs of ours are measured against the one of theirs:
the same question (names and versions), and the whole table with every column and package URL.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.figures import Line
from bench.pairs import pairs
from collectors.reading.host import Host
from collectors.software.packages import collect

PACKAGES = 20_000
PAIRS = 9
GOAL = "0.8"
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
"""The distribution's own where there is one: what a package of ours would be run by."""
SAME_QUESTION = (PYTHON, "-I", "-S", str(Path(__file__).with_name("packages_once.py")))
WHOLE_TABLE = (sys.executable, "-m", "bench.packages", "--table")


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


def listed(command: Sequence[str]) -> list[str]:
    """Return the sorted lines that a process prints."""
    return sorted(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines())


def whole_table(root: str) -> None:
    """Print every row of the table as canonical JSON lines."""
    encode = msgspec.json.Encoder(order="sorted").encode
    sys.stdout.buffer.writelines(encode(each) + b"\n" for each in collect(Host(root, secret=b"bench")))


def rows() -> list[Line]:
    """Return P10, after both said the same."""
    with tempfile.TemporaryDirectory() as root:
        folder = make_database(Path(root))
        theirs = ("dpkg-query", f"--admindir={folder}", "-W")
        ours = (*SAME_QUESTION, str(folder / "status"))
        if listed(ours) != listed(theirs):
            raise SystemExit("bench: dpkg-query -W: expected the same list as ours, found another")
        jobs = (("names and versions", ours, GOAL), ("the whole table, every column", (*WHOLE_TABLE, root), "-"))
        return [line for job, command, goal in jobs for line in _lines(job, command, theirs, goal)]


def _lines(job: str, ours: Sequence[str], theirs: Sequence[str], goal: str) -> list[Line]:
    found = pairs(ours, theirs, PAIRS)
    mine, other = found.ours, found.theirs
    job = f"{PACKAGES:,} packages, {job}; dpkg-query -W"
    return [
        Line("P10", f"{job}: CPU", f"{mine.cpu_s:.2f} s", f"{other.cpu_s:.2f} s", f"{found.cpu:.2f}", goal),
        Line("P10", f"{job}: wall", f"{mine.wall_s:.2f} s", f"{other.wall_s:.2f} s", f"{found.wall:.2f}", goal),
    ]


if __name__ == "__main__" and sys.argv[1:2] == ["--table"]:
    whole_table(sys.argv[2])
