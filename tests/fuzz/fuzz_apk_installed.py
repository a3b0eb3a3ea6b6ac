"""Any bytes as apk's installed database and world file: rows, or the one error we promise."""

from __future__ import annotations

import contextlib

from collectors.contract import MalformedError
from collectors.software.apk import parse_package, parse_world
from collectors.software.deb822 import stanzas
from collectors.software.purl import Distribution

ALPINE = Distribution("alpine", "alpine-3.20.3")


def target(data: bytes) -> None:
    world, _, installed = data.partition(b"\xff")
    wishes = parse_world(world.decode("utf-8", "backslashreplace"))
    for offset, text in stanzas(installed):
        assert 0 <= offset < len(installed)
        with contextlib.suppress(MalformedError):
            package = parse_package(text, "installed", ALPINE, wishes)
            assert package.name
            assert package.purl.isascii()
            assert package.purl.startswith("pkg:apk/alpine/")
            assert package.purl.isprintable()
