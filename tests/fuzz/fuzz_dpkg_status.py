"""Any bytes as dpkg's status, with a journal: entries with keys, or gaps with a line that exists."""

from __future__ import annotations

from collectors.contract import Gap
from collectors.software.dpkg import row
from collectors.software.dpkg_database import overlaid, parse_status
from collectors.software.purl import Distribution

DEBIAN = Distribution("debian", "debian-12")


def target(data: bytes) -> None:
    status, _, journal = data.partition(b"\xff")
    changes = [each for each in parse_status(journal, "journal") if not isinstance(each, Gap)]
    lines = status.count(b"\n") + 1
    for each in overlaid(parse_status(status, "status"), changes):
        if isinstance(each, Gap):
            assert each.line is not None
            assert 1 <= each.line <= lines
        else:
            package = row(each, "status", DEBIAN)
            assert package.name
            assert package.version
            assert package.purl.isascii()
            assert package.purl.startswith("pkg:deb/debian/")
            assert package.purl.isprintable()
