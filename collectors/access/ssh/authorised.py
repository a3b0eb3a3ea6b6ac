"""The walk from the configuration to every line that opens an account."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from collectors.access.ssh.accounts import read_accounts, read_memberships
from collectors.access.ssh.effective import Setting
from collectors.access.ssh.key_files import Line, Parse, lines_of, read_key_file
from collectors.access.ssh.key_lines import parse_authority_line, parse_key_line, parse_principal_line
from collectors.access.ssh.key_paths import DEFAULT_KEY_FILES, Account, Place, places, templates
from collectors.access.ssh.match_block import scope_text
from collectors.access.ssh.strict_modes import owner_ok
from collectors.access.ssh.trusted_folders import TrustedFolders
from collectors.contract import Gap, MalformedError, shown
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.facts import Content, Facts
from collectors.reading.host import Host

MAX_BYTES = 256 << 20
"""Of all key files together: what many users with large files may cost."""


class Finding(msgspec.Struct, frozen=True):
    """One line of one file, and whose account it opens; no user means every user."""

    user: str | None
    place: Place
    facts: Facts
    line: Line
    owner_ok: bool | None = None


def findings(host: Host, settings: list[Setting]) -> Iterator[Finding | Gap]:
    """Yield every key, authority and principal that the settings lead to, and what could not be read.

    A file that is not there is no gap for a user's keys, since most users have none; it is one for
    TrustedUserCAKeys, which somebody configured.
    """
    named = {
        name: [each for each in settings if each.name == name]
        for name in ("trustedusercakeys", "authorizedkeysfile", "authorizedprincipalsfile")
    }
    yield from _authorities(host, named["trustedusercakeys"])
    gaps: list[Gap] = []
    memberships = read_memberships(host, gaps)
    if any(criterion.name == "group" for each in settings for criterion in each.scope):
        yield from gaps
    walk = _Walk(host, named["authorizedkeysfile"], named["authorizedprincipalsfile"], frozenset(memberships.names))
    for account in read_accounts(host, memberships):
        yield from (account,) if isinstance(account, Gap) else walk.of(account)


def _authorities(host: Host, settings: list[Setting]) -> Iterator[Finding | Gap]:
    matches: dict[str, list[str]] = {}
    for each in settings:
        if each.value.lower() != "none":
            path = each.value if each.value.startswith("/") else f"/{each.value}"  # sshd runs in /
            matches.setdefault(path, []).append(scope_text(each.scope))
    folders = TrustedFolders(host)
    for path, scopes in matches.items():
        try:
            content = read_key_file(host, path, folders.above(path))
        except ReadError as error:
            yield error.gap()
            continue
        place = Place(path, tuple(scopes))
        for line in lines_of(content, parse_authority_line):
            yield line if isinstance(line, Gap) else Finding(None, place, content.facts, line)


class _Walk:
    """Goes from user to user, within one budget of bytes; a file that all users share is read once."""

    def __init__(self, host: Host, keys: list[Setting], principals: list[Setting], groups: frozenset[str]) -> None:
        self._host = host
        self._keys = keys
        self._principals = principals
        self._groups = groups
        self._folders = TrustedFolders(host)
        self._shared: dict[str, Content | ReadError] = {}
        self._until = host.cost.bytes + MAX_BYTES

    def of(self, account: Account) -> Iterator[Finding | Gap]:
        """Yield what opens one account."""
        try:
            keys = places(account, templates(self._keys, account, self._groups, default=DEFAULT_KEY_FILES))
            principals = places(account, templates(self._principals, account, self._groups))
        except MalformedError as error:
            yield Gap(f"key files of user {shown(account.person.name)[0]}", "malformed", str(error))
            return
        for each in keys:
            yield from self._lines(account, each, parse_key_line)
        for each in principals:
            yield from self._lines(account, each, parse_principal_line)

    def _lines(self, account: Account, place: Place, parse: Parse) -> Iterator[Finding | Gap]:
        again = place.path in self._shared  # its gaps were told with the first user
        untrusted = self._folders.above(place.path, account)
        content = self._content(place, untrusted)
        if isinstance(content, ReadError):
            if not again and not isinstance(content, AbsentError):
                yield content.gap()
            return
        answer = self._trusted(account, content, untrusted)
        if isinstance(answer, Gap):
            yield answer
        trusted = answer if isinstance(answer, bool) else None
        for line in lines_of(content, parse):
            if not isinstance(line, Gap):
                yield Finding(account.person.name, place, content.facts, line, trusted)
            elif not again:
                yield line

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
