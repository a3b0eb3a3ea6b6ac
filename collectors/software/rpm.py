"""RPM packages, from the rpm database itself; the program `rpm` is not needed, so images can be read too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from collectors.contract import Gap, MalformedError, utc
from collectors.reading.errors import ReadError
from collectors.software.package import Package
from collectors.software.purl import Distribution, rpm_purl
from collectors.software.rpm_header import MOST_BYTES, Header, parse_header
from collectors.software.rpm_sqlite import DatabaseError, Record, records
from collectors.software.standing import standing

if TYPE_CHECKING:
    from collectors.reading.host import Host

FOLDERS = ("/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm")
SQLITE = "rpmdb.sqlite"
UNREAD = {"Packages.db": "rpm's own ndb format", "Packages": "Berkeley DB format"}
READS = tuple(f"{folder}/{SQLITE}*" for folder in FOLDERS)
SIDE = ("-wal", "-journal")
"""What SQLite needs to see the last transaction. The index of the log (-shm) is made anew for the copy."""
MOST_PACKAGES = 250_000

NAME, VERSION, RELEASE, EPOCH, ARCH, SOURCE_RPM = 1000, 1001, 1002, 1003, 1022, 1044
BUILD_TIME, INSTALL_TIME, SIZE, LONG_SIZE = 1006, 1008, 1009, 5009
VENDOR, LICENCE, PACKAGER, MODULE = 1011, 1014, 1015, 5096

# rpm is lenient; a space or slash would make a package URL another package's.
WORD = re.compile(r"[!-.0-~]+")
SOURCE = re.compile(r"(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm")


def databases(host: Host) -> list[str]:
    """Return the rpm databases of a host, as paths, of any format; one that two paths lead to is one."""
    return standing(host, [f"{folder}/{name}" for folder in FOLDERS for name in (SQLITE, *UNREAD)])


def packages(host: Host, database: str, where: Distribution) -> Iterator[Package | Gap]:
    """Yield the packages of one of the `databases`, and a gap for each part that could not be read."""
    name = database.rpartition("/")[2]
    if name in UNREAD:
        yield Gap(database, "unknown_format", f"an rpm database in {UNREAD[name]}, which is not read yet")
        return
    try:
        with host.copied(database, side=SIDE) as copy:
            for record in records(copy, most_bytes=MOST_BYTES, most=MOST_PACKAGES + 1):
                yield _row(record, database, where)
    except DatabaseError as error:
        yield Gap(database, error.reason, str(error))
    except ReadError as error:
        yield error.gap()


def _row(record: Record, database: str, where: Distribution) -> Package | Gap:
    if record.header is None:
        detail = f"header {record.number}: expected at most {MOST_BYTES} bytes, found {record.size_bytes}"
        return Gap(database, "truncated", detail)
    try:
        return package(parse_header(record.header), database, where)
    except MalformedError as error:
        return Gap(database, "malformed", f"header {record.number}: {error}")


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
