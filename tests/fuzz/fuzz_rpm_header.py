"""Any bytes as a header of an rpm database: a row, or the one error we promise."""

from __future__ import annotations

import contextlib

from collectors.contract import MalformedError
from collectors.reading.rpm_header import parse_header
from collectors.software import rpm
from collectors.software.purl import Distribution

ROCKY = Distribution("rocky", "rocky-9.4")


def target(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        header = parse_header(data)
        for tag in header.index:
            for read in (header.text, header.number):
                with contextlib.suppress(MalformedError):
                    read(tag)
        package = rpm.package(header, "rpmdb.sqlite", ROCKY)
        assert package.name
        assert package.purl.isascii()
        assert package.purl.startswith("pkg:rpm/rocky/")
        assert package.purl.isprintable()
