"""A view of this machine in which nothing else happens: what others write there is neither seen nor measured.

As root a process gets its own copy of the folders that are watched, and empty folders where tests and people leave
things. An ordinary user gets none of it, and measures whatever else goes on.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from bench.installed import python

COPIED = ("/etc", "/var/lib/dpkg", "/var/lib/apt")
EMPTY = ("/tmp", "/var/tmp", "/root", "/home", "/var/cache/evidenced-trees")
# The folder that is measured in may lie in one of those: it is held by a descriptor and put back.
_SCRIPT = """\
folder=$1 copies=$2 empty=$3; shift 3
exec 9<"$folder"
for each in $empty; do mount -t tmpfs none "$each" || exit; done
mkdir -p "$folder" && mount -c --bind /proc/self/fd/9 "$folder" || exit
for each in $copies; do mount --bind "$folder/copies$each" "$each" || exit; done
exec 9<&-
exec "$@"
"""


def apart(folder: Path) -> list[str]:
    """Return the words before a command that make it run so; copies stand below `copies` in the folder."""
    if os.geteuid() != 0:
        return []
    copied = [each for each in COPIED if os.path.isdir(each)]
    for each in copied:
        if not (folder / "copies" / each.lstrip("/")).exists():
            shutil.copytree(each, folder / "copies" / each.lstrip("/"), symlinks=True, ignore=_unreadable)
    kept = (python(), sys.executable, sys.prefix, os.path.realpath(sys.executable), __file__)  # what runs there
    empty = [each for each in EMPTY if os.path.isdir(each) and not any(path.startswith(f"{each}/") for path in kept)]
    return ["unshare", "--mount", "sh", "-c", _SCRIPT, "sh", str(folder), " ".join(copied), " ".join(empty)]


def own(folder: Path, path: str) -> Path:
    """Return where a file of the copied folders stands for those outside."""
    return folder / "copies" / path.lstrip("/")


def _unreadable(_folder: str, names: list[str]) -> set[str]:
    return {each for each in names if each == "lists"}  # apt's lists: large, and read by nobody here
