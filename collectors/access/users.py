"""Local accounts, from /etc/passwd; format in passwd(5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from collectors.contract import HOUR_S, Gap, MalformedError, Row, Table, means, path_gap
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.host import Host
from collectors.reading.lines import each_line, in_text
from collectors.reading.nss_files import entry, number, says_nothing

PASSWD = "/etc/passwd"  # noqa: S105  a path
SHELLS = "/etc/shells"
USER_FIELDS = 7  # passwd(5)
LEAST_FIELDS = 4  # glibc, nss/fgetpwent_r.c: without a gid there is no account; what else is missing is empty
NO_LOGIN = frozenset({"nologin", "false", "true", "sync", "halt", "shutdown"})


class User(Row):
    """One line of passwd. Two lines of one name are two rows: which one counts is for the reader to judge."""

    name: Annotated[str, means("login name; empty in a nameless entry", personal=True)]
    line: Annotated[int, means("line of passwd, counted from 1")]
    uid: Annotated[int | None, means("user id; absent in an NIS entry that leaves it to the server")]
    gid: Annotated[int | None, means("id of the primary group; absent as uid")]
    gecos_present: Annotated[bool, means("whether the comment field holds anything; its text is not collected")]
    home: Annotated[str, means("home folder as written", personal=True)]
    shell: Annotated[str, means("login shell as written; empty means /bin/sh")]
    source: Annotated[
        Literal["local", "nis_include", "nis_exclude"],
        means("local entry, or a line that begins with + or - and asks a directory server (nsswitch compat)"),
    ]
    interactive: Annotated[
        bool | None,
        means("whether the shell lets someone work: in /etc/shells or not one of the known refusals; absent for NIS"),
    ]
    password_in_passwd: Annotated[
        Literal["shadowed", "empty", "locked", "hash", "absent"],
        means("what stands in the password field: x (in shadow), nothing, * or !, anything else, or no field at all"),
    ]


def user_on(text: str, line: int, shells: frozenset[str] = frozenset()) -> User | None:
    """Return the account on one line of passwd, None if the line says nothing. Raises: as parse_user."""
    return None if says_nothing(text, USER_FIELDS) else parse_user(text, line, shells)


def parse_user(text: str, line: int, shells: frozenset[str] = frozenset()) -> User:
    """Return the account on one passwd line; the password field is classified, never kept.

    Shape: 7 fields, of which glibc takes the last three for empty where they are missing, and a further colon for part
    of the shell; a line that begins with + or - may leave out all but the first.
    Raises: MalformedError on fewer than 4 fields or an id that is not decimal.
    Source: passwd(5); glibc, nss/fgetpwent_r.c; nsswitch.conf(5), "compat mode", for + and - lines.
    """
    text = entry(text)
    fields = text.split(":", USER_FIELDS - 1)
    if text.startswith(("+", "-")):
        return _nis(fields, line)
    if len(fields) < LEAST_FIELDS:
        raise MalformedError("7 fields", str(len(fields)))
    name, password, uid, gid, gecos, home, shell = [*fields, "", "", ""][:USER_FIELDS]
    return User(
        name=name,
        line=line,
        uid=number(uid, "uid"),
        gid=number(gid, "gid"),
        gecos_present=bool(gecos),
        home=home,
        shell=shell,
        source="local",
        interactive=is_interactive(shell, shells),
        password_in_passwd=password_kind(password),
    )


def _nis(fields: list[str], line: int) -> User:
    name, password, uid, gid, gecos, home, shell, *_ = [*fields, *([""] * 7)]
    return User(
        name=name,
        line=line,
        uid=number(uid, "uid") if uid else None,
        gid=number(gid, "gid") if gid else None,
        gecos_present=bool(gecos),
        home=home,
        shell=shell,
        source="nis_exclude" if name.startswith("-") else "nis_include",
        interactive=None,
        password_in_passwd=password_kind(password) if len(fields) > 1 else "absent",
    )


def password_kind(field: str) -> Literal["shadowed", "empty", "locked", "hash", "absent"]:
    """Return what a password field of passwd holds, without keeping it."""
    if field in {"", "x"}:
        return "shadowed" if field else "empty"
    return "locked" if field.startswith(("*", "!")) else "hash"


def is_interactive(shell: str, shells: frozenset[str]) -> bool:
    """Return whether a login shell lets someone work; unknown shells count as if they did."""
    return shell in shells or shell.rsplit("/", 1)[-1] not in NO_LOGIN


def read_shells(host: Host) -> Iterator[str | Gap]:
    """Yield the shells of /etc/shells; see shells(5)."""
    try:
        content = host.read(SHELLS)
    except AbsentError:
        return  # without the file, the C library takes /bin/sh and /bin/csh
    except ReadError as error:
        yield error.gap()
        return
    if content.truncated:
        yield path_gap(SHELLS, "truncated", "expected a file read whole, found more than its limit")
    for line in content.data.decode("utf-8", "surrogateescape").split("\n"):
        shell = line.partition("#")[0].strip()
        if shell and shell.rsplit("/", 1)[-1] not in NO_LOGIN:
            yield shell


def collect(host: Host) -> Iterable[User | Gap]:
    """Yield every line of passwd; directory servers are not asked."""
    listed = list(read_shells(host))
    yield from (each for each in listed if isinstance(each, Gap))
    shells = frozenset(each for each in listed if isinstance(each, str))
    for each in each_line(host, PASSWD, lambda text, line: user_on(text, line, shells)):
        yield from (each,) if isinstance(each, Gap) else in_text(each, PASSWD, each.line)


TABLE = Table(
    "users",
    User,
    key=("name", "line"),
    reads=(PASSWD, SHELLS),
    collect=collect,
    interval_s=HOUR_S,
    watches=(PASSWD, SHELLS),
    care=(
        "Local files only: accounts of a directory server (LDAP, SSSD, NIS) are not listed, and a line that asks one "
        "(+ or -) is a row that says so."
    ),
)
