"""Whom a uid and a gid belong to, from the host's own passwd and group; passwd(5), group(5)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from collectors.contract import Gap, MalformedError, path_gap
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.nss_files import entry, number

if TYPE_CHECKING:
    from collectors.reading.host import Host

PASSWD, GROUP, NSSWITCH = "/etc/passwd", "/etc/group", "/etc/nsswitch.conf"
_LIMIT = 16 << 20
# nss-systemd knows root, nobody and what runs under DynamicUser=, which owns nothing that outlives it.
_OWN_SOURCES = frozenset({"files", "compat", "db", "systemd", "altfiles", "mymachines", "myhostname"})


class Owners(msgspec.Struct, frozen=True):
    """Names by number. Of two lines with one number the first counts, as for getpwuid(3)."""

    users: dict[int, str] | None
    """None if passwd could not be read: then nobody can be said to be unknown."""
    groups: dict[int, str] | None
    gaps: tuple[Gap, ...] = ()

    def user(self, uid: int) -> str | None:
        """Return the login name of a uid, None if the host's own passwd does not know it."""
        return (self.users or {}).get(uid)

    def group(self, gid: int) -> str | None:
        """Return the name of a gid, None if the host's own group file does not know it."""
        return (self.groups or {}).get(gid)


def read_owners(host: Host) -> Owners:
    """Return the names of the host's ids, with a gap for each file that could not be read whole."""
    gaps: list[Gap] = []
    return Owners(_names(host, PASSWD, gaps), _names(host, GROUP, gaps), tuple(gaps))


def _names(host: Host, path: str, gaps: list[Gap]) -> dict[int, str] | None:
    try:
        content = host.read(path, limit=_LIMIT)
    except ReadError as error:
        gaps.append(error.gap())
        return None
    if content.truncated:
        gaps.append(path_gap(path, "truncated", f"expected at most {_LIMIT} bytes, found more"))
        return None
    return parse_names(content.data)


def parse_names(data: bytes) -> dict[int, str]:
    """Return the names by number of a passwd or group file; a line without a number is passed over.

    The tables of users and groups say which lines are malformed; here only ids count.
    """
    names: dict[int, str] = {}
    for each in data.decode("utf-8", "backslashreplace").split("\n"):
        line = entry(each)
        fields = line.split(":", 3)
        if len(fields) > 2 and not line.startswith(("+", "-", "#")):  # noqa: PLR2004  name, password, id
            with suppress(MalformedError):
                names.setdefault(number(fields[2], "id"), fields[0])
    return names


def directory_sources(host: Host) -> tuple[str, ...]:
    """Return the directory services that nsswitch.conf asks for users or groups, sorted; nsswitch.conf(5)."""
    try:
        text = host.read(NSSWITCH).data.decode("utf-8", "replace")
    except AbsentError:
        return ()  # then the C library asks the files only
    asked: set[str] = set()
    for line in text.split("\n"):
        database, _, services = line.partition("#")[0].partition(":")
        if database.strip() in {"passwd", "group"}:
            asked |= {word for word in services.split() if word.isidentifier()}
    return tuple(sorted(asked - _OWN_SOURCES))
