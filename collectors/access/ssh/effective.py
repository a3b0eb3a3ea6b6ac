"""Which directive counts: the rule of sshd_config(5) that the first value obtained is used, and its exceptions."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from collectors.access.ssh.match_block import Scope
from collectors.access.ssh.sshd_config import Directive

ALIASES = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
    "hostbasedacceptedkeytypes": "hostbasedacceptedalgorithms",
    "hostdsakey": "hostkey",
    "keepalive": "tcpkeepalive",
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "rsaminsize": "requiredrsasize",
    "skeyauthentication": "kbdinteractiveauthentication",
}
"""Older names of settings (servconf.c; the last but one is Red Hat's)."""

ADDS_LINES = frozenset({"hostcertificate", "hostkey", "listenaddress", "port", "subsystem"})
"""Every directive counts."""

ADDS_ARGUMENTS = frozenset({"acceptenv", "allowgroups", "allowusers", "denygroups", "denyusers"})
"""Every argument of every directive counts."""

FIRST_LINE_ARGUMENTS = frozenset({"setenv"})
"""Every argument of the first directive counts."""

DEPENDS_ON_VERSION = frozenset(
    {
        "fingerprinthash",
        "ipqos",
        "maxstartups",
        "persourcemaxstartups",
        "persourcenetblocksize",
        "persourcepenalties",
        "revokedkeys",
        "streamlocalbindmask",
    }
)
"""The first counts, the last counts, or they add up, by the version of OpenSSH: all are kept, in their order."""


class Setting(msgspec.Struct, frozen=True):
    """One value that counts in one scope; `index` tells several of one name apart."""

    name: str
    value: str
    index: int
    directive: Directive

    @property
    def scope(self) -> Scope:
        """Return the conditions under which the value counts."""
        return self.directive.scope


def effective_settings(directives: list[Directive], known: frozenset[str] = frozenset()) -> Iterator[Setting]:
    """Yield the values that count, scope by scope, in the order of their directives.

    Names are those of the current sshd_config(5), or as written if they are among `known` (an sshd that still
    has the older name as a setting of its own). What Match blocks of different conditions say about one
    connection is for the reader to judge; two blocks of one condition are one.
    """
    counts: dict[tuple[str, Scope], int] = {}
    for each in directives:
        name = each.keyword if each.keyword in known else ALIASES.get(each.keyword, each.keyword)
        taken = counts.get((name, each.scope), 0)
        if taken and name not in ADDS_LINES | ADDS_ARGUMENTS | DEPENDS_ON_VERSION:
            continue
        for value in _values(name, each.arguments):
            yield Setting(name, value, taken, each)
            taken += 1
        counts[name, each.scope] = taken


def _values(name: str, arguments: tuple[str, ...]) -> tuple[str, ...]:
    if name in ADDS_ARGUMENTS | FIRST_LINE_ARGUMENTS:
        return arguments
    return (" ".join(arguments),)
