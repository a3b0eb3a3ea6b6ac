"""Where rpm keeps its database, and the headers in it; the program `rpm` is not needed, so images can be read too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from collectors.contract import Gap, MalformedError
from collectors.reading.errors import ReadError
from collectors.reading.rpm_header import MOST_BYTES, Header, parse_header
from collectors.reading.rpm_sqlite import DatabaseError, Record, records
from collectors.reading.standing import standing

if TYPE_CHECKING:
    from collectors.reading.host import Host

T = TypeVar("T")

FOLDERS = ("/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm")
SQLITE = "rpmdb.sqlite"
UNREAD = {"Packages.db": "rpm's own ndb format", "Packages": "Berkeley DB format"}
READS = tuple(f"{folder}/{SQLITE}*" for folder in FOLDERS)
WATCHES = tuple(f"{folder}/{name}" for folder in FOLDERS for name in (SQLITE, f"{SQLITE}-wal", *UNREAD))
SIDE = ("-wal", "-journal")
"""What SQLite needs to see the last transaction. The index of the log (-shm) is made anew for the copy."""
MOST_PACKAGES = 250_000


def databases(host: Host) -> list[str]:
    """Return the rpm databases of a host, as paths, of any format; one that two paths lead to is one."""
    return standing(host, [f"{folder}/{name}" for folder in FOLDERS for name in (SQLITE, *UNREAD)])


def each_header(host: Host, database: str, use: Callable[[Header], Iterable[T]]) -> Iterator[T | Gap]:
    """Yield what `use` makes of each header of one of the `databases`, in order of installation.

    A header that is not in rpm's format, or of which `use` raises MalformedError, is a `malformed` gap with its
    number; another format is `unknown_format`, and what ends the reading before its time a gap with its reason.
    """
    name = database.rpartition("/")[2]
    if name in UNREAD:
        yield Gap(database, "unknown_format", f"an rpm database in {UNREAD[name]}, which is not read yet")
        return
    try:
        with host.copied(database, side=SIDE) as copy:
            for record in records(copy, most_bytes=MOST_BYTES, most=MOST_PACKAGES + 1):
                yield from _used(record, database, use)
    except DatabaseError as error:
        yield Gap(database, error.reason, str(error))
    except ReadError as error:
        yield error.gap()


def _used(record: Record, database: str, use: Callable[[Header], Iterable[T]]) -> Iterator[T | Gap]:
    if record.header is None:
        detail = f"header {record.number}: expected at most {MOST_BYTES} bytes, found {record.size_bytes}"
        yield Gap(database, "truncated", detail)
        return
    try:
        yield from use(parse_header(record.header))
    except MalformedError as error:
        yield Gap(database, "malformed", f"header {record.number}: {error}")
