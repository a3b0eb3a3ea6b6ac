"""What stands in the private folder of a package beside our own code: read from the locked wheels themselves."""

from __future__ import annotations

import email.parser
import hashlib
import os
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field

import vendor

# What a wheel says of its licence must be one of these, so that a new part makes somebody look.
KNOWN = frozenset({"Apache-2.0", "BSD-3-Clause", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"})


INSIDE = {"pynacl": ("libsodium", "ISC"), "cffi": ("libffi", "MIT")}
"""Name and licence of what is compiled into a library, and of which no wheel tells; its version none tells either."""


@dataclass
class Part:
    """One library: what it is, under which licence, and the wheels that it came in."""

    name: str
    version: str
    licence: str
    needs: tuple[str, ...]
    texts: dict[str, str] = field(default_factory=dict)
    """Licence texts by their file name."""
    wheels: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each wheel by its file name."""
    tops: set[str] = field(default_factory=set)
    """Names that it has in the private folder; a folder's ends in a slash."""

    @property
    def inside(self) -> tuple[str, str] | None:
        """Return name and licence of what is compiled in."""
        return INSIDE.get(self.name)


def parts(lock: str, pythons: Iterable[str], machine: str, wheels: str) -> list[Part]:
    """Return the parts for one machine, sorted by name."""
    found: dict[str, Part] = {}
    with open(lock, encoding="utf-8") as file:
        text = file.read()
    for python in pythons:
        for path in vendor.download(vendor.requirements_for(text, python, machine), python, machine, wheels):
            _read(path, found)
    return [found[name] for name in sorted(found)]


def _read(path: str, found: dict[str, Part]) -> None:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        about = next(each.partition("/")[0] for each in names if each.endswith(".dist-info/METADATA"))
        said = email.parser.Parser().parsestr(archive.read(f"{about}/METADATA").decode())
        part = found.setdefault(_normal(said["Name"]), _part(said))
        with open(path, "rb") as file:
            part.wheels[os.path.basename(path)] = hashlib.sha256(file.read()).hexdigest()
        for name in names:
            if name.startswith(f"{about}/licenses/") and not name.endswith("/"):
                part.texts[os.path.basename(name)] = archive.read(name).decode()
            elif not name.partition("/")[0].endswith(".data"):
                part.tops.add("".join(name.partition("/")[:2]))
    if not part.texts:
        raise vendor.VendorError(f"{os.path.basename(path)}: expected the text of its licence, found none")


def _part(said: email.message.Message) -> Part:
    licence = said["License-Expression"] or said["License"]
    if licence not in KNOWN:
        raise vendor.VendorError(f"{said['Name']}: expected one of the licences {sorted(KNOWN)}, found {licence!r}")
    needs = {
        _normal(re.split(r"[^A-Za-z0-9._-]", each, maxsplit=1)[0])
        for each in said.get_all("Requires-Dist", [])
        if "extra ==" not in each
    }
    return Part(_normal(said["Name"]), said["Version"], licence, tuple(sorted(needs)))


def _normal(name: str) -> str:
    """Return a name as package URLs have it."""
    return re.sub(r"[-_.]+", "-", name).lower()
