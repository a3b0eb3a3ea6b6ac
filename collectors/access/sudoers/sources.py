"""Whether sudo asks its files, and what else: the sudoers line of nsswitch.conf, as sudo_read_nss of sudo_nss.c."""

from __future__ import annotations

import msgspec

from collectors.access.sudoers.logical_lines import logical_lines

NSSWITCH = "/etc/nsswitch.conf"
FILES = "files"
DIRECTORIES = ("ldap", "sss")
_RETURNS = {"[notfound=return]": "has no rule", "[success=return]": "has a rule"}


class Source(msgspec.Struct, frozen=True):
    """One source; `ends` says in which case sudo asks none of those behind it."""

    name: str
    ends: str | None = None


def sources_of(text: str, known: tuple[str, ...] = DIRECTORIES) -> tuple[int, tuple[Source, ...]]:
    """Return (line, sources in order) of the first sudoers entry; only the files if it names none that sudo knows.

    `known` are the directories that sudo was built for. The case of letters does not count; an action counts only
    directly behind a source.
    """
    for number, line in logical_lines(text):
        if line[:8].lower() == "sudoers:":
            return number, _parsed(line[8:], (FILES, *known)) or (Source(FILES),)
    return 0, (Source(FILES),)


def _parsed(text: str, known: tuple[str, ...]) -> tuple[Source, ...]:
    found: dict[str, Source] = {}
    last = None
    for word in text.replace("\t", " ").lower().split(" "):
        if not word:
            continue
        if word in known and word not in found:
            found[word] = Source(word)
            last = word
            continue
        if last is not None and word in _RETURNS:
            found[last] = Source(last, _RETURNS[word])
        last = None
    return tuple(found.values())
