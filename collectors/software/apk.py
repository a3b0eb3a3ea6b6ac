"""Alpine packages, from apk's installed database and /etc/apk/world.

Format: a block of `X:value` lines a package, ended by a blank line; the letters are those of apk-tools'
database.c and of the index format (wiki.alpinelinux.org/wiki/Apk_spec).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from collectors.contract import Gap, MalformedError, utc
from collectors.reading.errors import ReadError
from collectors.reading.standing import standing
from collectors.software.deb822 import Lines, stanzas
from collectors.software.package import Package
from collectors.software.purl import Distribution, apk_purl

if TYPE_CHECKING:
    from collectors.reading.host import Host

INSTALLED = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
WORLD = "/etc/apk/world"
READS = (*INSTALLED, WORLD)
INSTALLED_LIMIT = 64 << 20
WORLD_LIMIT = 1 << 20
LONGEST_BLOCK = 16 << 20  # a kernel lists its modules in a megabyte

NAME = re.compile(r"[A-Za-z0-9._+-]+")
VERSION = re.compile(r"[!-.0-~]+")
NUMBER = re.compile(r"[0-9]{1,15}")
# apk-world(5): a name, then a version condition and a tag; "!" asks for absence.
WISH = re.compile(r"([A-Za-z0-9._+:-]+)(?:[<>=~].*|@.*)?")

Fields = dict[str, str]
"""Value by letter."""


def databases(host: Host) -> list[str]:
    """Return the apk databases of a host; one that two paths lead to is one."""
    return standing(host, INSTALLED)


def packages(host: Host, database: str, where: Distribution) -> Iterator[Package | Gap]:
    """Yield the packages of one of the `databases`, and a gap for each part that could not be read."""
    gaps: list[Gap] = []
    wishes = _world(host, gaps)
    yield from gaps
    try:
        content = host.read(database, limit=INSTALLED_LIMIT)
    except ReadError as error:
        yield error.gap()
        return
    lines = Lines(content.data)
    for start, text in stanzas(content.data, LONGEST_BLOCK):
        try:
            yield parse_package(text, database, where, wishes)
        except MalformedError as error:  # noqa: PERF203  one block's damage must not cost the next
            yield Gap(database, "malformed", str(error), line=lines.at(start))
    if content.truncated:
        yield Gap(database, "truncated", f"expected at most {INSTALLED_LIMIT} bytes, found more")


def parse_package(text: str, database: str, where: Distribution, wishes: frozenset[str] | None) -> Package:
    """Return the row of one block.

    Raises: MalformedError if the name, version, architecture or a number is not in its form, if a NUL stands in
    what is read, or if the block is cut.
    """
    fields = _fields(text)
    name = _matching(NAME, fields, "P", "a package name")
    version = _matching(VERSION, fields, "V", "a version")
    arch = _matching(NAME, fields, "A", "an architecture") if fields.get("A") else None
    origin = fields.get("o") or None
    built = _number(fields, "t", "a build time")
    return Package(
        purl=apk_purl(where, name, version, arch=arch, origin=origin),
        database=database,
        instance=1,
        name=name,
        version=version,
        arch=arch,
        source_name=origin,
        source_version=version if origin else None,
        vendor=None,
        maintainer=fields.get("m") or None,
        licence=fields.get("L") or None,
        origin=fields.get("s") or None,
        module=None,
        size_bytes=_number(fields, "I", "an installed size"),
        built=None if built is None else utc(built),
        installed=None,
        manual=None if wishes is None else name in wishes,
        state="broken" if fields.get("f") else "installed",
        wanted=None,
        needs_reinstall=None,
    )


def _fields(text: str) -> Fields:
    """Return the fields before the list of folders and files (F); of a letter given twice the first counts."""
    if not text.endswith("\n"):
        raise MalformedError("a whole block with a newline at its end", "a cut one")
    head = text.partition("\nF:")[0]
    if "\0" in head:
        raise MalformedError("text", "a NUL byte")
    fields: Fields = {}
    for line in head.rstrip("\n").split("\n"):
        if line[1:2] != ":":
            raise MalformedError("a letter and a colon", "another line")
        fields.setdefault(line[0], line[2:])
    return fields


def _matching(form: re.Pattern[str], fields: Fields, letter: str, expected: str) -> str:
    value = fields.get(letter, "")
    if not form.fullmatch(value):
        raise MalformedError(f"{expected} in the field {letter}", "another form" if value else "none")
    return value


def _number(fields: Fields, letter: str, expected: str) -> int | None:
    return int(_matching(NUMBER, fields, letter, expected)) if fields.get(letter) else None


def _world(host: Host, gaps: list[Gap]) -> frozenset[str] | None:
    """Return the names asked for, or None where that cannot be read."""
    try:
        content = host.read(WORLD, limit=WORLD_LIMIT)
    except ReadError as error:
        gaps.append(error.gap())
        return None
    if content.truncated:
        gaps.append(Gap(WORLD, "truncated", f"expected at most {WORLD_LIMIT} bytes, found more"))
        return None
    return parse_world(content.data.decode("utf-8", "backslashreplace"))


def parse_world(text: str) -> frozenset[str]:
    """Return the names that a world file asks for; conditions and tags are dropped, "!" wishes too."""
    found = (WISH.fullmatch(word) for word in text.split())
    return frozenset(each[1] for each in found if each)
