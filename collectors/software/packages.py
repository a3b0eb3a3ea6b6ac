"""Installed packages, from every package database of the host that is read so far: dpkg, rpm (SQLite) and apk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from collectors.contract import HOUR_S, CollectionError, Gap, Table, UnsupportedError
from collectors.reading.errors import ReadError
from collectors.reading.os_release import OS_RELEASE, read_os_release
from collectors.software import apk, dpkg, rpm
from collectors.software.package import Package
from collectors.software.purl import Distribution, distribution
from collectors.software.unread import unread

if TYPE_CHECKING:
    from collectors.reading.host import Host

MANAGERS = (dpkg, rpm, apk)
MOST_ENTRIES = 250_000
DAMAGE_SHOWN = 100
"""Damaged entries of one database that are gaps of their own; more are folded into one with their count."""


def collect(host: Host) -> Iterator[Package | Gap]:
    """Yield the packages of all databases, and a gap for each part or database that is not read.

    Raises: UnsupportedError on a host without any package database; CollectionError if all there are could be
    read and name no package, which no installed system does.
    """
    databases = [(manager, path) for manager in MANAGERS for path in manager.databases(host)]
    strangers = list(unread(host))
    if not databases and not strangers:
        raise UnsupportedError("expected a package database, found none that is known")
    yield from strangers
    where, missing = _distribution(host)
    yield from missing
    rows, unseen = 0, bool(strangers)
    for manager, path in databases:
        for each in folded(limited(manager.packages(host, path, where), path)):
            if isinstance(each, Package):
                rows += 1
            else:
                unseen = unseen or each.reason != "malformed"
            yield each
    if not rows and not unseen:
        names = ", ".join(path for _, path in databases)
        raise CollectionError(f"{names}: expected packages, found none")


def _distribution(host: Host) -> tuple[Distribution, list[Gap]]:
    try:
        variables, gaps = read_os_release(host)
    except ReadError as error:
        return distribution({}), [error.gap()]
    return distribution(variables), gaps


def limited(found: Iterable[Package | Gap], database: str) -> Iterator[Package | Gap]:
    """Yield what one database gave, packages and damage alike, up to the limit of a table."""
    for number, each in enumerate(found):
        if number == MOST_ENTRIES:
            yield Gap(database, "truncated", f"expected at most {MOST_ENTRIES} packages, found more")
            return
        yield each


def folded(found: Iterable[Package | Gap]) -> Iterator[Package | Gap]:
    """Yield what one database gave, with equal purls numbered and a flood of damage folded into one gap."""
    seen: Counter[str] = Counter()
    damage = 0
    for each in found:
        if isinstance(each, Package):
            seen[each.purl] += 1
            again = seen[each.purl]
            yield each if again == 1 else msgspec.structs.replace(each, instance=again)
            continue
        damage += each.reason == "malformed"
        if each.reason != "malformed" or damage <= DAMAGE_SHOWN:
            yield each
        else:
            last = each
    if damage > DAMAGE_SHOWN:
        yield Gap(last.source, "malformed", "more of these", count=damage - DAMAGE_SHOWN)


TABLE = Table(
    "packages",
    Package,
    key=("purl", "database", "instance"),
    reads=(*OS_RELEASE, *dpkg.READS, *rpm.READS, *apk.READS),
    collect=collect,
    interval_s=HOUR_S,
    watches=(*dpkg.WATCHES, *rpm.WATCHES, *apk.READS),
    min_distance_s=20,
    care=(
        "Every package that dpkg's, rpm's (SQLite format) or apk's own database names, in any state: a Debian "
        "package of which only configuration is left has the state config-files. Read without a lock; what dpkg "
        "has not yet written back to its status file is applied. Packages of snap, flatpak and other managers, "
        "and rpm databases in older formats, are gaps that name them, not rows. Several databases on one host "
        "are all read; the table is failed if none of them names a package."
    ),
)
