"""dpkg's database read from its files: `status` and the journal in `updates/`, or a folder of stanzas.

What changed since `status` was last written lies in `updates/`, one stanza a file, and counts for more. dpkg's
lock is never taken, so both are read between two equal looks at `status`. Source: dpkg(1), FILES.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from collectors.contract import Gap, path_gap
from collectors.reading.errors import AbsentError, ReadError
from collectors.software.deb822 import Lines, StanzaError, stanzas
from collectors.software.dpkg_status import Entry, parse_stanza

if TYPE_CHECKING:
    from collectors.reading.host import Content, Host

STATUS = "/var/lib/dpkg/status"
STATUS_D = "/var/lib/dpkg/status.d"
UPDATES = "/var/lib/dpkg/updates"

STATUS_LIMIT = 64 << 20
STANZA_LIMIT = 1 << 20
UPDATES_LIMIT = 1000  # dpkg itself writes status anew after 250
TRIES = 3


def status_entries(host: Host) -> Iterator[Entry | Gap]:
    """Yield what `status` and the changes in `updates/` together say, as dpkg-query would."""
    gaps: list[Gap] = []
    try:
        content, changes = _steady(host, gaps)
    except ReadError as error:
        yield error.gap()
        return
    yield from gaps
    yield from overlaid(parse_status(content.data, STATUS), changes)
    if content.truncated:
        yield Gap(STATUS, "truncated", f"expected at most {STATUS_LIMIT} bytes, found more")


def _steady(host: Host, gaps: list[Gap]) -> tuple[Content, list[Entry]]:
    """Return `status` and the changes to it; read again if it was replaced between the two.

    dpkg renames a new `status` into place and then empties `updates/`: in this order no change is missed.
    """
    for _ in range(TRIES):
        gaps.clear()
        before = host.look(STATUS, follow=True)
        changes = _changes(host, gaps)
        content = host.read(STATUS, limit=STATUS_LIMIT)
        if content.facts == before:
            return content, changes
    raise ReadError(STATUS, "changed_while_read", f"was replaced during each of {TRIES} reads")


def _changes(host: Host, gaps: list[Gap]) -> list[Entry]:
    """Return the entries of `updates/`, oldest first; only names that are numbers count, as dpkg has it."""
    changes: list[Entry] = []
    for name in _names(host, UPDATES, gaps, limit=UPDATES_LIMIT):
        if name.isascii() and name.isdigit():
            each = list(_file_entries(host, f"{UPDATES}/{name}"))
            gaps.extend(gap for gap in each if isinstance(gap, Gap))
            changes.extend(entry for entry in each if isinstance(entry, Entry))
    return changes


def folder_entries(host: Host) -> Iterator[Entry | Gap]:
    """Yield what the files of `status.d` say, one package each; beside them lie lists of digests."""
    gaps: list[Gap] = []
    names = _names(host, STATUS_D, gaps)
    yield from gaps
    for name in names:
        if not name.endswith((".md5sums", ".list", ".conffiles")):
            yield from _file_entries(host, f"{STATUS_D}/{name}")


def _file_entries(host: Host, path: str) -> Iterator[Entry | Gap]:
    try:
        content = host.read(path, limit=STANZA_LIMIT)
    except ReadError as error:
        yield error.gap()
        return
    if content.truncated:
        yield path_gap(path, "truncated", f"expected at most {STANZA_LIMIT} bytes, found more")
        return
    yield from parse_status(content.data, path)


def _names(host: Host, folder: str, gaps: list[Gap], *, limit: int = 100_000) -> list[str]:
    try:
        return host.names(folder, limit=limit)
    except AbsentError:
        return []
    except ReadError as error:
        gaps.append(error.gap())
        return []


def parse_status(data: bytes, source: str) -> Iterator[Entry | Gap]:
    """Yield an entry for each stanza, and a `malformed` gap with its line for each damaged one."""
    lines = Lines(data)
    for start, text in stanzas(data):
        try:
            yield parse_stanza(text)
        except StanzaError as error:  # noqa: PERF203  one stanza's damage must not cost the next
            yield path_gap(source, "malformed", str(error), line=lines.at(start))


def overlaid(base: Iterable[Entry | Gap], changes: list[Entry]) -> Iterator[Entry | Gap]:
    """Yield the packages that are there: those of `base` that no change replaces, then what was changed."""
    newest: dict[str, list[Entry]] = {}
    for change in changes:
        older = newest.get(change.name, [])
        newest[change.name] = [each for each in older if not replaces(change, each)] + [change]
    for entry in base:
        if isinstance(entry, Gap) or _stays(entry, newest.get(entry.name, [])):
            yield entry
    for several in newest.values():
        yield from (change for change in several if change.state != "not-installed")


def _stays(entry: Entry, changes: list[Entry]) -> bool:
    return entry.state != "not-installed" and not any(replaces(change, entry) for change in changes)


def replaces(change: Entry, entry: Entry) -> bool:
    """Return whether dpkg keeps both in one place: only `Multi-Arch: same` stands once an architecture."""
    if change.name != entry.name:
        return False
    return change.arch in {entry.arch, None} or "same" not in {change.multi_arch, entry.multi_arch}
