"""Unpack the locked wheels for every supported Python side by side into one folder.

    python packaging/vendor.py REQUIREMENTS FOLDER [--wheels DIR] [--machine x86_64] 3.10 3.11 …

Compiled modules have the Python in their file name and pure ones are the same in every wheel, so the folder serves all
of them; two wheels that disagree about a file are an error. pip checks each wheel against the hashes of the lock.
Run by any Python that has pip; nothing of what is unpacked is run.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator

from pip._vendor.packaging.markers import Marker

# pycparser reads C declarations when cffi modules are built; ours are built already, and its versions differ by Python.
BUILD_ONLY = frozenset({"pycparser"})
# The oldest glibc of a distribution that has a Python we run on: EL 9 has 2.34, Ubuntu 22.04 2.35, Debian 12 2.36.
GLIBC = ("2_34", "2_28", "2_17")
# Written by installers or about one wheel of several: of no use to a folder that holds them all.
ABOUT_ONE_WHEEL = frozenset({"RECORD", "WHEEL", "INSTALLER", "REQUESTED", "direct_url.json"})
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?$")


class VendorError(Exception):
    """The wheels cannot be laid into one folder."""


def requirements_for(lock: str, python: str, machine: str) -> str:
    """Return the part of a lock file that counts on one Python, without markers: pip would ask those of itself.

    Shape: as pip-compile and uv write it, `name==version ; marker` and indented `--hash=` lines.
    """
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_machine": machine,
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
    }
    kept, counts = [], False
    for number, line in enumerate(lock.splitlines(), 1):
        if line.startswith((" ", "\t")):
            if counts and "--hash=" in line:
                kept.append(line)
            continue
        if not line.strip() or line.startswith("#"):
            continue
        found = REQUIREMENT.match(line)
        if found is None:
            raise VendorError(f"lock, line {number}: expected `name==version`, found {line!r}")
        marker = found["marker"]
        counts = found["name"] not in BUILD_ONLY and (marker is None or Marker(marker).evaluate(environment))
        if counts:
            kept.append(f"{found['name']}=={found['version']} \\")
    return "\n".join(kept) + "\n"


def download(requirements: str, python: str, machine: str, wheels: str) -> list[str]:
    """Have pip fetch the wheels for one Python, hashes checked, and return their paths; what is there is kept."""
    name = hashlib.sha256(f"{requirements}{GLIBC}".encode()).hexdigest()[:16]
    folder = os.path.join(wheels, f"{python}-{machine}-{name}")
    if not os.path.isdir(folder):
        os.makedirs(wheels, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=wheels) as partial:
            _fetch(requirements, python, machine, partial)
            with contextlib.suppress(OSError):  # another run was quicker
                os.rename(os.path.join(partial, "wheels"), folder)
    return sorted(os.path.join(folder, each) for each in os.listdir(folder))


def _fetch(requirements: str, python: str, machine: str, folder: str) -> None:
    path = os.path.join(folder, "requirements.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write(requirements)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary=:all:"),
            *("--require-hashes", "--python-version", python, "--implementation", "cp"),
            *("--abi", f"cp{python.replace('.', '')}", "--abi", "abi3", "--abi", "none"),
            *(f"--platform=manylinux_{each}_{machine}" for each in GLIBC),
            *(f"--platform=manylinux2014_{machine}", "--platform=any"),
            *("--dest", os.path.join(folder, "wheels"), "--requirement", path),
        ],
        check=True,
    )


def members(wheel: str) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of what a wheel installs as modules or says about itself; never a program."""
    with zipfile.ZipFile(wheel) as archive:
        for item in archive.infolist():
            parts = item.filename.split("/")
            if item.is_dir() or parts[0].endswith(".data"):  # scripts and headers: nothing of that is used
                continue
            if ".." in parts or item.filename.startswith("/"):
                raise VendorError(f"{os.path.basename(wheel)}: expected paths inside, found {item.filename!r}")
            if parts[0].endswith(".dist-info") and parts[-1] in ABOUT_ONE_WHEEL:
                continue
            yield item.filename, archive.read(item)


def unpack(wheel: str, folder: str) -> None:
    """Lay one wheel into the folder, beside what is there."""
    for name, content in members(wheel):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            with open(path, "rb") as file:
                if file.read() != content:
                    raise VendorError(f"{os.path.basename(wheel)}: {name}: expected the same in every wheel, found two")
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            file.write(content)


def main() -> int:
    """Unpack for each Python named and return the exit code."""
    parser = argparse.ArgumentParser(description="unpack locked wheels for several Pythons into one folder")
    parser.add_argument("lock")
    parser.add_argument("folder")
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    parser.add_argument("--wheels", required=True, help="where downloaded wheels are kept")
    parser.add_argument("--machine", default=os.uname().machine)
    options = parser.parse_args()
    with open(options.lock, encoding="utf-8") as file:
        lock = file.read()
    try:
        for python in options.pythons:
            wanted = requirements_for(lock, python, options.machine)
            for wheel in download(wanted, python, options.machine, options.wheels):
                unpack(wheel, options.folder)
    except VendorError as error:
        sys.stderr.write(f"vendor: {error}\n")
        return 3
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"vendor: expected pip to fetch every locked wheel, found exit code {error.returncode}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
