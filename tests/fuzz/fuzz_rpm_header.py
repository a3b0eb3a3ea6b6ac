"""Any bytes as a header of an rpm database: a row and the files asked for, or the one error we promise."""

from __future__ import annotations

import contextlib

from collectors.contract import MalformedError
from collectors.reading.rpm_files import packaged_files, wanted_files
from collectors.reading.rpm_header import parse_header
from collectors.software import rpm
from collectors.software.purl import Distribution

ROCKY = Distribution("rocky", "rocky-9.4")
PATHS = frozenset({"/usr/bin/su", "/usr/share/doc/bash/README", "/"})
WANTED = wanted_files(PATHS)


def target(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        header = parse_header(data)
        for tag in header.index:
            for read in (header.text, header.number):
                with contextlib.suppress(MalformedError):
                    read(tag)
                    read(tag, header.count(tag) - 1)
        with contextlib.suppress(MalformedError):
            assert {each.path for each in packaged_files(header, WANTED)} <= PATHS
        package = rpm.package(header, "rpmdb.sqlite", ROCKY)
        assert package.name
        assert package.purl.isascii()
        assert package.purl.startswith("pkg:rpm/rocky/")
        assert package.purl.isprintable()
