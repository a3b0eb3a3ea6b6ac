"""From user to user, and from file to file of each, so that nobody's keys push out those of others."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from collectors.access.ssh.effective import Setting
from collectors.access.ssh.key_files import (
    Faults,
    Line,
    Parse,
    lines_after,
    lines_of,
    more_faults,
    read_key_file,
)
from collectors.access.ssh.key_globs import KeyGlobs
from collectors.access.ssh.key_lines import parse_key_line, parse_principal_line
from collectors.access.ssh.key_paths import DEFAULT_KEY_FILES, Account, Place, places, templates
from collectors.access.ssh.strict_modes import owner_ok
from collectors.access.ssh.trusted_folders import TrustedFolders
from collectors.contract import Gap, MalformedError, path_gap, shown
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.facts import Content, Facts
from collectors.reading.host import Host

MAX_BYTES = 256 << 20
"""Of all key files together: what many users with large files may cost."""
SHARE_BYTES = 64 << 10
"""Of rows of one user that come at once; what is more comes after the shares of all others."""
TABLE_BYTES = 40 << 20
"""Of all rows, where those beyond the shares end; what is left out is counted, file by file."""
ROW_BYTES = 700
"""About what a row takes without the texts its user chooses."""
MAX_GAPS = 100
"""Of one user; more are counted in one gap."""


class Finding(msgspec.Struct, frozen=True):
    """One line of one file, and whose account it opens; no user means every user."""

    user: str | None
    place: Place
    facts: Facts
    line: Line
    owner_ok: bool | None = None


class _Part(msgspec.Struct, frozen=True):
    """What is to be read of one file: the lines after one."""

    account: Account
    place: Place
    parse: Parse
    faults: Faults
    after: int = 0


class KeyWalk:
    """Goes from user to user, within one budget of bytes; a file that all users share is read once."""

    def __init__(self, host: Host, keys: list[Setting], principals: list[Setting], groups: frozenset[str]) -> None:
        self._host = host
        self._keys = keys
        self._principals = principals
        self._groups = groups
        self._folders = TrustedFolders(host)
        self._globs = KeyGlobs(host, self._folders)
        self._shared: dict[str, Content | ReadError] = {}
        self._told: set[Gap] = set()  # of the lines of shared files
        self._until = host.cost.bytes + MAX_BYTES
        self._room = 0
        self._used = 0
        self._late: list[_Part] = []
        self._gaps: dict[str, int] = {}

    def of(self, account: Account) -> Iterator[Finding | Gap]:
        """Yield what opens one account, up to a share of the table."""
        self._room = SHARE_BYTES
        for each in self._parts(account):
            if isinstance(each, Gap):
                yield from self._counted(account, iter((each,)))
            elif self._room > 0:
                yield from self._counted(account, self._lines(each))
            else:
                self._late.append(each)

    def rest(self) -> Iterator[Finding | Gap]:
        """Yield what was more than a share, while the table has room, and what was left out of each file."""
        self._room = TABLE_BYTES - self._used
        late, self._late = self._late, []
        for each in late:
            yield from self._counted(each.account, self._lines(each))
            if self._late:  # the room ended within this file
                yield from self._counted(each.account, self._left_out(self._late.pop()))
        for name, count in self._gaps.items():
            if count > MAX_GAPS:
                yield Gap(_files_of(name), "truncated", f"more than {MAX_GAPS} gaps", count=count - MAX_GAPS)

    def _parts(self, account: Account) -> Iterator[_Part | Gap]:
        try:
            keys = places(account, templates(self._keys, account, self._groups, default=DEFAULT_KEY_FILES))
            principals = places(account, templates(self._principals, account, self._groups))
        except MalformedError as error:
            yield Gap(_files_of(account.person.name), "malformed", str(error))
            return
        for found, parse in ((keys, parse_key_line), (principals, parse_principal_line)):
            for each in self._globs.files(account, found):
                yield each if isinstance(each, Gap) else _Part(account, each, parse, Faults())

    def _lines(self, part: _Part) -> Iterator[Finding | Gap]:
        """Yield what a part of a file holds; where the room ends, what is left of it is put with the late ones."""
        place, path = part.place, part.place.path
        again = path in self._shared  # whether it can be read was told with the first user
        untrusted = self._folders.above(path, part.account)
        content = self._content(place, untrusted)
        if isinstance(content, ReadError):
            if part.after > 0 or not (again or isinstance(content, AbsentError)):
                yield content.gap()
            return
        answer = self._trusted(part.account, content, untrusted)
        if isinstance(answer, Gap) and part.after == 0:
            yield answer
        trusted = answer if isinstance(answer, bool) else None
        for line in lines_of(content, part.parse, part.after, part.faults):
            if isinstance(line, Gap):
                yield from self._once(place, line)
                continue
            if self._room <= 0:
                self._late.append(msgspec.structs.replace(part, after=line.number - 1))
                return
            self._take(_weight(place, line))
            yield Finding(part.account.person.name, place, content.facts, line, trusted)

    def _once(self, place: Place, gap: Gap) -> Iterator[Gap]:
        """Yield a gap of a line, of a shared file only with the first user."""
        if gap not in self._told:
            yield gap
        if place.shared:
            self._told.add(gap)

    def _take(self, weight: int) -> None:
        self._room -= weight
        self._used += weight

    def _left_out(self, part: _Part) -> Iterator[Gap]:
        content = self._content(part.place, self._folders.above(part.place.path, part.account))
        if isinstance(content, ReadError):
            yield content.gap()
            return
        yield from more_faults(part.place.path, part.faults)
        detail = f"lines left out for user {shown(part.account.person.name)[0]}: the table has no room for more"
        count = lines_after(content, part.after)
        yield path_gap(part.place.path, "truncated", detail, line=part.after + 1, count=max(count, 1))

    def _counted(self, account: Account, found: Iterator[Finding | Gap]) -> Iterator[Finding | Gap]:
        """Yield all but the gaps that are too many for one user."""
        for each in found:
            if isinstance(each, Gap):
                count = self._gaps[account.person.name] = self._gaps.get(account.person.name, 0) + 1
                if count > MAX_GAPS:
                    continue
            yield each

    def _content(self, place: Place, untrusted: str) -> Content | ReadError:
        if place.path in self._shared:
            return self._shared[place.path]
        content = self._read(place.path, untrusted)
        if place.shared:
            self._shared[place.path] = content
        return content

    def _read(self, path: str, untrusted: str) -> Content | ReadError:
        if self._host.cost.bytes > self._until:
            return ReadError(path, "truncated", f"expected at most {MAX_BYTES} bytes of keys in all, found more")
        try:
            return read_key_file(self._host, path, untrusted)
        except ReadError as error:
            return error

    def _trusted(self, account: Account, content: Content, untrusted: str) -> bool | Gap:
        try:
            return owner_ok(self._host, content.path, content.facts, account, untrusted)
        except ReadError as error:
            return error.gap()


def _files_of(name: str) -> str:
    return f"key files of user {shown(name)[0]}"


def _weight(place: Place, line: Line) -> int:
    """Return about how many bytes a row takes: the texts of options stand in it twice, with escapes."""
    texts = sum(len(each.name) + len(repr(each.value or "")) for each in line.content.options)
    return ROW_BYTES + 2 * texts + 2 * len(repr(place.path)) + sum(map(len, place.matches))
