"""Which Debian packages came only as dependencies, from apt's extended_states; apt-mark(8)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from collectors.contract import Gap
from collectors.reading.errors import AbsentError, ReadError
from collectors.software.deb822 import Lines, StanzaError, fields, stanzas

if TYPE_CHECKING:
    from collectors.reading.host import Host

FOLDER = "/var/lib/apt"
EXTENDED_STATES = "/var/lib/apt/extended_states"
LIMIT = 32 << 20
FIELDS = frozenset(("package", "architecture", "auto-installed"))


class Automatic(msgspec.Struct, frozen=True, dict=True):
    """What apt marks as installed automatically."""

    pairs: frozenset[tuple[str, str]]
    """(name, architecture); apt files packages for all architectures under the host's own."""

    @cached_property
    def names(self) -> frozenset[str]:
        """The names alone."""
        return frozenset(name for name, _ in self.pairs)


def automatic(host: Host, gaps: list[Gap]) -> Automatic | None:
    """Return what apt marks as automatically installed, or None where nothing readable says so.

    apt takes its missing file to mean that nothing is automatic; a host without apt has no such record.
    """
    try:
        content = host.read(EXTENDED_STATES, limit=LIMIT)
    except AbsentError:
        return Automatic(frozenset()) if _has_apt(host) else None
    except ReadError as error:
        gaps.append(error.gap())
        return None
    if content.truncated:
        gaps.append(Gap(EXTENDED_STATES, "truncated", f"expected at most {LIMIT} bytes, found more"))
        return None
    found = list(parse_extended_states(content.data))
    damage = [each for each in found if isinstance(each, Gap)]
    gaps.extend(damage)
    # Any package may be the one that a damaged stanza marks.
    return None if damage else Automatic(frozenset(each for each in found if not isinstance(each, Gap)))


def parse_extended_states(data: bytes) -> Iterator[tuple[str, str] | Gap]:
    """Yield (name, architecture) of each automatic package, and a gap for a stanza that is not in its form."""
    lines = Lines(data)
    for start, text in stanzas(data):
        try:
            said = fields(text, FIELDS)
        except StanzaError as error:
            yield Gap(EXTENDED_STATES, "malformed", str(error), line=lines.at(start))
            continue
        if said.get("auto-installed") == "1":
            yield said.get("package", ""), said.get("architecture", "")


def _has_apt(host: Host) -> bool:
    try:
        return host.look(FOLDER, follow=True).kind == "folder"
    except ReadError:
        return False
