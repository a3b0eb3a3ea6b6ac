"""RPM packages, as the headers of the rpm database describe them; rpm's docs/manual/tags.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from collectors.contract import Gap, MalformedError, utc
from collectors.reading.rpm_database import READS, WATCHES, databases, each_header
from collectors.reading.rpm_header import Header
from collectors.software.package import Package
from collectors.software.purl import Distribution, rpm_purl

if TYPE_CHECKING:
    from collectors.reading.host import Host

__all__ = ["READS", "WATCHES", "databases", "package", "packages"]

NAME, VERSION, RELEASE, EPOCH, ARCH, SOURCE_RPM = 1000, 1001, 1002, 1003, 1022, 1044
BUILD_TIME, INSTALL_TIME, SIZE, LONG_SIZE = 1006, 1008, 1009, 5009
VENDOR, LICENCE, PACKAGER, MODULE = 1011, 1014, 1015, 5096

# rpm is lenient; a space or slash would make a package URL another package's.
WORD = re.compile(r"[!-.0-~]+")
SOURCE = re.compile(r"(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm")


def packages(host: Host, database: str, where: Distribution) -> Iterator[Package | Gap]:
    """Yield the packages of one of the `databases`, and a gap for each part that could not be read."""
    return each_header(host, database, lambda header: (package(header, database, where),))


def package(header: Header, database: str, where: Distribution) -> Package:
    """Return the row of one header; MalformedError if its name, version or release is missing or no word."""
    name, version, release = (_word(header, tag) for tag in (NAME, VERSION, RELEASE))
    arch = header.text(ARCH)
    epoch = header.number(EPOCH)
    if arch is not None and not WORD.fullmatch(arch):
        raise MalformedError("an architecture without spaces and slashes", "another form")
    full = f"{version}-{release}"
    # A public key, which rpm keeps as the package gpg-pubkey, has the text "(none)" here.
    source = SOURCE.fullmatch(header.text(SOURCE_RPM) or "")
    size = header.number(LONG_SIZE)
    return Package(
        purl=rpm_purl(where, name, full, arch=arch, epoch=epoch, source=source and source[0]),
        database=database,
        instance=1,
        name=name,
        version=full if epoch is None else f"{epoch}:{full}",
        arch=arch,
        source_name=source and source[1],
        source_version=source and source[2],
        vendor=header.text(VENDOR),
        maintainer=header.text(PACKAGER),
        licence=header.text(LICENCE),
        origin=None,
        module=header.text(MODULE),
        size_bytes=header.number(SIZE) if size is None else size,
        built=_time(header, BUILD_TIME),
        installed=_time(header, INSTALL_TIME),
        manual=None,
        state="installed",
        wanted=None,
        needs_reinstall=None,
    )


def _word(header: Header, tag: int) -> str:
    text = header.text(tag)
    if text is None or not WORD.fullmatch(text):
        raise MalformedError(f"a word at tag {tag}", "none" if text is None else "another form")
    return text


def _time(header: Header, tag: int) -> str | None:
    seconds = header.number(tag)
    return None if seconds is None else utc(seconds)
