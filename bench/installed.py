"""The program as packages install it: a private folder with its rooms and libraries, compiled, behind the launcher.

A checkout is not what a host runs: it finds the libraries among those of the developers, and may have no bytecode.
The layout is that of packaging/stage, without the network and for one Python.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
_NAME = re.compile(r"([A-Za-z0-9_.-]+)==", re.MULTILINE)


def python() -> str:
    """Return the distribution's interpreter if it can load the libraries that are installed here, else our own."""
    found = shutil.which("python3", path="/usr/bin")
    if found:
        ask = [found, "-ISc", "import sys; print(*sys.version_info[:2])"]
        said = subprocess.run(ask, check=True, capture_output=True, text=True)
        if said.stdout.split() == [str(each) for each in sys.version_info[:2]]:
            return found
    return sys.executable


def installed(folder: str) -> list[str]:
    """Lay the program out in a folder and return the words that start it."""
    library = Path(folder) / "usr/lib/evidenced"
    rooms = library / "evidenced/_rooms"
    for room in ("agent", "collectors", "evidence", "program"):
        shutil.copytree(HERE / room, rooms / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HERE / "packaging/wheel/evidenced", library / "evidenced", dirs_exist_ok=True)
    for name in _NAME.findall((HERE / "requirements/run.txt").read_text()):
        _copy_library(name, library)
    launcher = Path(folder) / "usr/bin/evidenced"
    launcher.parent.mkdir(parents=True)
    shutil.copy(HERE / "packaging/launcher", launcher)
    subprocess.run([python(), "-IBm", "compileall", "-q", str(library)], check=True)
    return [python(), "-IBS", "-X", "evidenced-chosen", str(launcher)]


def paths(folder: str) -> list[str]:
    """Return where the rooms and the libraries of an installed program are, as it has them on its path."""
    library = f"{folder}/usr/lib/evidenced"
    return [f"{library}/evidenced/_rooms", library]


def _copy_library(name: str, library: Path) -> None:
    """Copy the files of a distribution that is installed here; one that is for another Python is not."""
    try:
        files = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        return
    for each in files:
        if ".." not in each.parts and "__pycache__" not in each.parts:
            target = library / each
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(os.fspath(each.locate()), target)
