"""Put what `packaging/stage` has laid out for several machines into one executable file.

    python packaging/single_file.py FILE --when SECONDS x86_64=FOLDER aarch64=FOLDER

FOLDER is a private folder as in the packages (usr/lib/evidenced). The file is a zip behind a line that names the
Python to run it with: `__main__.py` chooses and isolates it, `agent/`, `collectors/`, `evidence/`, `program/` and the
plain parts of the libraries stand at the top, compiled parts in a folder of their machine. One input gives one result,
to the byte, from one zlib: names are sorted, all times are one.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
import zipfile
from collections.abc import Iterator

SHEBANG = b"#!/usr/bin/python3 -IBS\n"
"""Not by way of env(1): whoever runs it may be root, and PATH another's."""
BOOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "one_shot")
ROOMS = os.path.join("evidenced", "_rooms")
COMPILED = re.compile(r"\.so\Z")
LEFT_OUT = re.compile(r"evidenced/|.*\.(pyi|c|h|pyx|typed)\Z")
MODE = 0o100644 << 16
LEVEL = 9


class DifferError(Exception):
    """Two folders have different files of one name."""


def collected(folders: dict[str, str]) -> dict[str, bytes]:
    """Return the members by name. Raises: DifferError."""
    members: dict[str, bytes] = {}
    for machine, folder in folders.items():
        for name, path in files(folder):
            kept = f"{machine}/{name}" if COMPILED.search(name) else name
            with open(path, "rb") as file:
                content = file.read()
            if members.setdefault(kept, content) != content:
                raise DifferError(f"{name}: expected the same for every machine, found two")
    for name, path in files(BOOT):
        with open(path, "rb") as file:
            members[name] = file.read()
    return members


def files(folder: str) -> Iterator[tuple[str, str]]:
    """Yield what stands below a folder: by its name as a module, or beside one, and where it is."""
    for start in (folder, os.path.join(folder, ROOMS)):
        for parent, below, names in os.walk(start):
            below[:] = sorted(each for each in below if each != "__pycache__")
            for each in sorted(names):
                path = os.path.join(parent, each)
                name = os.path.relpath(path, start)
                if not LEFT_OUT.match(name):
                    yield name, path


def write(out: str, members: dict[str, bytes], when: int) -> None:
    """Write the file, executable, whole or not at all."""
    moment = time.gmtime(max(when, 315532800))[:6]  # zip begins with 1980
    partial = out + ".part"
    with open(partial, "wb") as file:
        file.write(SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
            for name in sorted(members):
                item = zipfile.ZipInfo(name, moment)
                item.external_attr, item.create_system, item.compress_type = MODE, 3, zipfile.ZIP_DEFLATED
                archive.writestr(item, members[name])
    os.chmod(partial, 0o755)  # noqa: S103  it is a program, for everybody
    os.rename(partial, out)


def main() -> int:
    """Write the file and return the exit code."""
    parser = argparse.ArgumentParser(description="put staged folders into one executable file")
    parser.add_argument("out")
    parser.add_argument("folders", nargs="+", metavar="MACHINE=FOLDER")
    parser.add_argument("--when", type=int, required=True, help="the time of all members, in seconds since 1970")
    options = parser.parse_args()
    try:
        write(options.out, collected(dict(each.split("=", 1) for each in options.folders)), options.when)
    except DifferError as error:
        sys.stderr.write(f"single_file: {error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
