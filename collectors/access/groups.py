"""Local groups, from /etc/group and /etc/gshadow; formats in group(5) and gshadow(5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from collectors.access.users import PASSWD, user_on
from collectors.contract import HOUR_S, Gap, MalformedError, Row, Table, means
from collectors.reading.host import Host
from collectors.reading.lines import each_line, in_text
from collectors.reading.nss_files import entry, listed, number, says_nothing

GROUP = "/etc/group"
GSHADOW = "/etc/gshadow"
FIELDS = 4  # group(5), gshadow(5)
LEAST_FIELDS = 3  # glibc, nss/fgetgrent_r.c: without a gid there is no group; without the last there are no members
LEAST_SHADOW_FIELDS = 2  # glibc, gshadow/sgetsgent_r.c, takes even the name alone, which says nothing


class Group(Row):
    """One line of group, with what gshadow adds to the name."""

    name: Annotated[str, means("group name")]
    line: Annotated[int, means("line of group, counted from 1")]
    gid: Annotated[int | None, means("group id; absent in an NIS entry that leaves it to the server")]
    members: Annotated[tuple[str, ...], means("members as listed, sorted", personal=True)]
    primary_members: Annotated[
        tuple[str, ...], means("accounts of passwd whose primary group has this gid, sorted", personal=True)
    ]
    admins: Annotated[
        tuple[str, ...] | None,
        means("who may change the members (gshadow); absent without a line there", personal=True),
    ]
    shadow_members: Annotated[
        tuple[str, ...] | None,
        means("members as gshadow lists them, sorted; absent without a line there", personal=True),
    ]
    password: Annotated[
        Literal["none", "locked", "set", "empty", "unknown"],
        means("group password (newgrp): none, locked, set, empty in gshadow, or unknown if gshadow was not read"),
    ]
    source: Annotated[Literal["local", "nis_include", "nis_exclude"], means("as in users")]


class Shadow(Row):
    """What a line of gshadow says; an intermediate, not a table."""

    name: str
    line: int
    password: Literal["locked", "set", "empty"]
    admins: tuple[str, ...]
    members: tuple[str, ...]


def gshadow_on(text: str, line: int) -> Shadow | None:
    """Return what one line of gshadow says, None if it says nothing. Raises: as parse_gshadow."""
    return None if says_nothing(text, FIELDS) else parse_gshadow(text, line)


def group_on(text: str, line: int) -> Group | None:
    """Return the group on one line, None if the line says nothing. Raises: as parse_group."""
    return None if says_nothing(text, FIELDS) else parse_group(text, line)


def parse_gshadow(text: str, line: int) -> Shadow:
    """Return one gshadow line; the password is classified, never kept.

    Raises: MalformedError on one field; two that are missing at the end are empty.
    Source: gshadow(5); glibc, gshadow/sgetsgent_r.c.
    """
    fields = entry(text).split(":", FIELDS - 1)
    if len(fields) < LEAST_SHADOW_FIELDS:
        raise MalformedError("4 fields", str(len(fields)))
    name, password, admins, members = [*fields, "", ""][:FIELDS]
    state: Literal["locked", "set", "empty"] = "set" if password else "empty"
    if password.startswith(("!", "*")):
        state = "locked"
    return Shadow(name=name, line=line, password=state, admins=listed(admins), members=listed(members))


def parse_group(text: str, line: int) -> Group:
    """Return one group line, as yet without gshadow and primary members.

    Raises: MalformedError on fewer than 3 fields, or a gid that is not decimal; + and - lines may leave out both.
    Source: group(5); glibc, nss/fgetgrent_r.c.
    """
    text = entry(text)
    fields = text.split(":", FIELDS - 1)
    elsewhere = text.startswith(("+", "-"))
    if len(fields) < LEAST_FIELDS and not elsewhere:
        raise MalformedError("4 fields", str(len(fields)))
    name, password, gid, members = [*fields, "", "", ""][:FIELDS]
    source: Literal["local", "nis_include", "nis_exclude"] = "local"
    if elsewhere:
        source = "nis_include" if text.startswith("+") else "nis_exclude"
    return Group(
        name=name,
        line=line,
        gid=number(gid, "gid") if gid or source == "local" else None,
        members=listed(members),
        primary_members=(),
        admins=None,
        shadow_members=None,
        password=_password(password),
        source=source,
    )


def _password(field: str) -> Literal["none", "locked", "set", "unknown"]:
    if field == "x":
        return "unknown"
    if not field:
        return "none"
    return "locked" if field.startswith(("!", "*")) else "set"


def collect(host: Host) -> Iterable[Group | Gap]:
    """Yield every line of group; what gshadow or passwd could not tell is a gap."""
    shadows: dict[str, Shadow] = {}
    for shadow in each_line(host, GSHADOW, gshadow_on, required=False):
        if isinstance(shadow, Gap):
            yield shadow
        else:
            shadows.setdefault(shadow.name, shadow)  # getsgnam(3) takes the first
    primary: dict[int, set[str]] = {}
    for user in each_line(host, PASSWD, user_on):
        if isinstance(user, Gap):
            yield user
        elif user.gid is not None:
            primary.setdefault(user.gid, set()).add(user.name)
    for group in each_line(host, GROUP, group_on):
        if isinstance(group, Gap):
            yield group
        else:
            yield from in_text(_joined(group, shadows.get(group.name), primary), GROUP, group.line)


def _joined(group: Group, shadow: Shadow | None, primary: dict[int, set[str]]) -> Group:
    """Return the group with what the two other files say of it."""
    people = () if group.gid is None else tuple(sorted(primary.get(group.gid, ())))
    return Group(
        name=group.name,
        line=group.line,
        gid=group.gid,
        members=group.members,
        primary_members=people,
        admins=None if shadow is None else shadow.admins,
        shadow_members=None if shadow is None else shadow.members,
        password=group.password if shadow is None else shadow.password,
        source=group.source,
    )


TABLE = Table(
    "groups",
    Group,
    key=("name", "line"),
    reads=(GROUP, GSHADOW, PASSWD),
    collect=collect,
    needs=("CAP_DAC_READ_SEARCH",),
    interval_s=HOUR_S,
    watches=(GROUP, GSHADOW, PASSWD),
    care="Who is in a group: members, primary_members, and on the host whom a directory server adds.",
)
