"""The sweep against find(1) and getcap(8): P1 one question of theirs, P2 the same four answers.

Run as root, for both sides to see all. The tree must hold still meanwhile: /usr does, / seldom; and
wall times mean something only if two processors are idle. Ours is measured as installed (bench.installed).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.figures import Line
from bench.installed import installed, paths, python
from bench.pairs import Ratio, pairs
from bench.sweep_once import NAMES, SUFFIXES
from collectors.reading.mounts import parse_mountinfo


def rows(root: str = "/usr", n: int = 7) -> list[Line]:
    """Return P1 and P2, after the findings of both sides have been compared."""
    with tempfile.TemporaryDirectory() as folder:
        ours = command(folder, root)
        compare(root, ours)
        one, *others = find_commands(root)
        four = ["sh", "-c", "; ".join(shlex.join(each) for each in (one, *others, getcap_command(root)))]
        return [
            *_lines("P1", "four answers in one pass; find -perm /6000", pairs(ours, one, n), 1.40, 0.75),
            *_lines("P2", "the same four answers; three finds, getcap -r", pairs(ours, four, n), 0.30, 0.20),
        ]


def _lines(name: str, job: str, ratio: Ratio, cpu_goal: float, wall_goal: float) -> list[Line]:
    mine, other = ratio.ours, ratio.theirs
    cpu = Line(name, f"{job}: CPU", f"{mine.cpu_s:.2f} s", f"{other.cpu_s:.2f} s", f"{ratio.cpu:.2f}", str(cpu_goal))
    wall = Line(
        name, f"{job}: wall", f"{mine.wall_s:.2f} s", f"{other.wall_s:.2f} s", f"{ratio.wall:.2f}", str(wall_goal)
    )
    return [cpu, wall]


def command(folder: str, root: str) -> list[str]:
    """Lay out the program in a folder and return the command that sweeps once with it, and does nothing else."""
    installed(folder)
    script = Path(folder) / "sweep_once.py"
    shutil.copy(Path(__file__).with_name("sweep_once.py"), script)
    start = f"import sys; sys.path[:0] = {[folder, *paths(folder)]!r}; from sweep_once import main; main()"
    return [python(), "-IS", "-c", start, root]


def find_commands(root: str) -> list[list[str]]:
    """Return the three questions to find: privileged, writable, named."""
    named = [word for name in NAMES for word in ("-o", "-name", name)]
    named += [word for suffix in SUFFIXES for word in ("-o", "-name", f"*{suffix}")]
    return [
        ["find", root, "-xdev", "-perm", "/6000", "-print0"],
        ["find", root, "-xdev", "-perm", "-0002", "!", "-type", "l", "-print0"],
        ["find", root, "-xdev", "-type", "f", "(", *named[1:], ")", "-print0"],
    ]


def getcap_command(root: str) -> list[str]:
    """Return the question to getcap."""
    return [shutil.which("getcap", path="/usr/sbin:/sbin:/usr/bin") or "getcap", "-r", root]


def compare(root: str, ours: list[str]) -> None:
    """Raise unless both sides find the same in the root's own file system."""
    output = subprocess.run([*ours, "--show"], check=True, capture_output=True).stdout
    found: dict[bytes, set[bytes]] = {}
    for line in output.split(b"\0")[:-1]:
        name, _, path = line.partition(b" ")
        found.setdefault(name, set()).add(path)
    mounts = _mount_points(root)
    prefix = os.fsencode(root.rstrip("/"))
    for name, command in zip((b"privileged", b"writable", b"named"), find_commands(root), strict=True):
        answer = subprocess.run(command, check=False, capture_output=True).stdout.split(b"\0")[:-1]
        theirs = {path.removeprefix(prefix) or b"/" for path in answer}
        _same(name, _outside(mounts, found.get(name, set())), _outside(mounts, theirs))
    lines = subprocess.run(getcap_command(root), check=False, capture_output=True).stdout.split(b"\n")[:-1]
    _same(b"capable", found.get(b"capable", set()), {line.rpartition(b" ")[0].removeprefix(prefix) for line in lines})


def _outside(mounts: tuple[bytes, ...], paths: set[bytes]) -> set[bytes]:
    return {path for path in paths if not any(path == each or path.startswith(each + b"/") for each in mounts)}


def _mount_points(root: str) -> tuple[bytes, ...]:
    """Return what is mounted below the root: find -xdev lists such a place and nothing in it."""
    with open("/proc/self/mountinfo", "rb") as file:
        mounts = parse_mountinfo(file.read())
    return tuple(os.fsencode(mount.target) for mount in mounts if mount.target != "/" and root == "/")


def _same(name: bytes, mine: set[bytes], theirs: set[bytes]) -> None:
    if mine != theirs:
        only = f"only ours {sorted(mine - theirs)[:5]}, only theirs {sorted(theirs - mine)[:5]}"
        raise SystemExit(f"bench: {name.decode()}: the findings differ, is the tree in use? {only}")
