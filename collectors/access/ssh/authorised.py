"""The walk from the configuration to every line that opens an account."""

from __future__ import annotations

from collections.abc import Iterator

from collectors.access.ssh.accounts import read_accounts, read_memberships
from collectors.access.ssh.effective import Setting
from collectors.access.ssh.key_files import lines_of, read_key_file
from collectors.access.ssh.key_lines import parse_authority_line
from collectors.access.ssh.key_paths import Place
from collectors.access.ssh.key_walk import Finding, KeyWalk
from collectors.access.ssh.match_block import scope_text
from collectors.access.ssh.trusted_folders import TrustedFolders
from collectors.contract import Gap
from collectors.reading.errors import ReadError
from collectors.reading.host import Host

__all__ = ["Finding", "findings"]


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
    walk = KeyWalk(host, named["authorizedkeysfile"], named["authorizedprincipalsfile"], frozenset(memberships.names))
    for account in read_accounts(host, memberships):
        yield from (account,) if isinstance(account, Gap) else walk.of(account)
    yield from walk.rest()


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
