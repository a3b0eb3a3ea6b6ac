"""State and ages of local passwords, from /etc/shadow; format in shadow(5) and crypt(5).

No hash leaves the parser.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec

from collectors.access.password_field import State, classify, openness
from collectors.access.users import PASSWD, user_on
from collectors.contract import DAY_S, HOUR_S, Gap, MalformedError, Row, Table, means, path_gap, utc
from collectors.reading.host import Host
from collectors.reading.lines import each_line, in_text
from collectors.reading.nss_files import entry, says_nothing, signed

SHADOW = "/etc/shadow"
FIELDS = 9  # shadow(5)
OLD_FIELDS = 5


class PasswordStatus(Row):
    """One line of shadow, or an account of passwd that has none."""

    user: Annotated[str, means("login name", personal=True)]
    line: Annotated[int, means("line of shadow, counted from 1; 0 for an account without one that can be read")]
    state: Annotated[
        State,
        means(
            "set: a usable hash; locked_with_hash: ! before one (passwd -l); locked: ! or !! alone; disabled: * "
            "or another text that no hash can equal; empty: no password is asked; invalid: begins like a hash "
            "but is none; no_shadow: passwd sends to shadow, where the account has no line. Where passwd holds a "
            "field of its own, which pam_unix asks instead, it is the state of the one that lets more in"
        ),
    ]
    algorithm: Annotated[str | None, means("hash scheme by its name in crypt(5); absent where there is no hash")]
    cost: Annotated[
        int | None,
        means("rounds of sha256crypt, sha512crypt and sha1crypt; log2 of bcrypt's; absent where not written"),
    ]
    changed: Annotated[str | None, means("day of the last change; absent if not recorded", time=True)]
    changed_day: Annotated[
        int | None,
        means("the same as shadow has it; 0 means: change at next login", unit="days since 1970-01-01"),
    ]
    must_change: Annotated[bool, means("whether the next login must set a new password")]
    min_days: Annotated[int | None, means("days before it may be changed again", unit="days")]
    max_days: Annotated[int | None, means("days after which it must be changed", unit="days")]
    warn_days: Annotated[int | None, means("days of warning before that", unit="days")]
    inactive_days: Annotated[int | None, means("days after that until the account is locked", unit="days")]
    expires: Annotated[str | None, means("day the account expires; absent if never", time=True)]
    expires_day: Annotated[int | None, means("the same as shadow has it", unit="days since 1970-01-01")]


def shadow_on(text: str, line: int) -> PasswordStatus | None:
    """Return what one line of shadow says, None if it says nothing. Raises: as parse_shadow."""
    return None if says_nothing(text, FIELDS) else parse_shadow(text, line)


def parse_shadow(text: str, line: int) -> PasswordStatus:
    """Return state and ages on one shadow line; the hash is classified here and goes no further.

    Units: days are counted from 1970-01-01 UTC; spans are in days.
    Shape: 9 fields, or as few as glibc takes; an empty number is None, -1 too (chage(1) writes it for "none"), and 0
    stays 0.
    Raises: MalformedError on another field count or a number that is not decimal.
    Source: shadow(5); crypt(5).
    """
    name, password, *numbers = _fields(entry(text))
    state, algorithm, cost = classify(password)
    changed, minimum, maximum, warn, inactive, expires, _ = (signed(each) for each in numbers)
    return PasswordStatus(
        user=name,
        line=line,
        state=state,
        algorithm=algorithm,
        cost=cost,
        changed=None if changed is None else utc(changed * DAY_S),
        changed_day=changed,
        must_change=changed == 0,
        min_days=minimum,
        max_days=maximum,
        warn_days=warn,
        inactive_days=inactive,
        expires=None if expires is None else utc(expires * DAY_S),
        expires_day=expires,
    )


def _fields(text: str) -> list[str]:
    """Return the nine fields of a line; the old form ends with the fifth, and a number may be the end of the eighth.

    Source: glibc, shadow/sgetspent_r.c.
    """
    fields = text.split(":")
    old = len(fields) == OLD_FIELDS or (len(fields) == OLD_FIELDS + 1 and not entry(fields[-1]))
    if old and (fields[4] or len(fields) > OLD_FIELDS):
        return [*fields[:OLD_FIELDS], "", "", "", ""]
    if len(fields) == FIELDS - 1 and fields[-1]:
        return [*fields, ""]
    if len(fields) != FIELDS:
        raise MalformedError("9 fields", str(len(fields)))
    return fields


class Account(Row):
    """What a line of passwd says of a password; an intermediate, not a table."""

    name: str
    line: int
    shadowed: bool
    """Whether the field sends to shadow."""
    state: State
    algorithm: str | None
    cost: int | None


def account_on(text: str, line: int) -> Account | None:
    """Return what one line of passwd says of a local account's password; the hash goes no further.

    Raises: as parse_user.
    Source: Linux-PAM, is_pwd_shadowed in passverify.c; its older releases also take `*NP*` (NIS+) to a shadow line.
    """
    user = user_on(text, line)
    if user is None or user.source != "local":
        return None
    field = text.split(":", 2)[1]
    state, algorithm, cost = classify(field)
    shadowed = field in {"x", "*NP*", f"##{user.name}"}
    return Account(name=user.name, line=line, shadowed=shadowed, state=state, algorithm=algorithm, cost=cost)


def collect(host: Host) -> Iterable[PasswordStatus | Gap]:
    """Yield every line of shadow, then the accounts of passwd that have none there.

    Whom passwd itself lets in is listed even where the line in shadow, or all of it, could not be read.
    """
    accounts: dict[str, Account] = {}
    for account in each_line(host, PASSWD, account_on):
        if isinstance(account, Gap):
            yield account
        else:
            accounts.setdefault(account.name, account)  # getpwnam(3) takes the first
    names: dict[int, str] = {}
    told: set[str] = set()
    whole = True

    def parse(text: str, line: int) -> PasswordStatus | None:
        names[line] = entry(text).partition(":")[0]  # a line that is malformed is there all the same
        return shadow_on(text, line)

    for each in each_line(host, SHADOW, parse):
        if isinstance(each, Gap):
            whole = whole and each.line in names  # else no name was had: whose line it is cannot be said
            yield each
        elif each.user.startswith(("+", "-")):  # nsswitch.conf(5), "compat mode"
            yield path_gap(SHADOW, "unenumerable", "a line that asks a directory server for passwords", line=each.line)
        else:
            told.add(each.user)
            yield from _both(each, accounts.get(each.user))
    named = set(names.values())
    for account in accounts.values():
        lacking = whole and account.name not in named
        if lacking or (account.name not in told and openness(account.state)):
            yield from in_text(_without_shadow(account), PASSWD, account.line)


def _both(row: PasswordStatus, account: Account | None) -> Iterator[PasswordStatus | Gap]:
    """Yield the row of a shadow line, and a gap if passwd has another password for the account.

    pam_unix then asks passwd, sshd without PAM asks shadow: what lets more in counts, so that no account that someone
    can log in to is called locked.
    """
    if account is None or account.shadowed:
        yield from in_text(row, SHADOW, row.line)
        return
    if openness(account.state) >= max(openness(row.state), 1):
        row = msgspec.structs.replace(row, state=account.state, algorithm=account.algorithm, cost=account.cost)
    yield from in_text(row, SHADOW, row.line)
    expected = "x in the password field of an account with a line in shadow"
    detail = f"expected {expected}, found another: programs differ in which they ask"
    yield path_gap(PASSWD, "malformed", detail, line=account.line)


def _without_shadow(account: Account) -> PasswordStatus:
    """Return the row of an account of which shadow gives nothing: what passwd itself holds counts then."""
    return PasswordStatus(
        user=account.name,
        line=0,
        state="no_shadow" if account.shadowed else account.state,
        algorithm=None if account.shadowed else account.algorithm,
        cost=None if account.shadowed else account.cost,
        changed=None,
        changed_day=None,
        must_change=False,
        min_days=None,
        max_days=None,
        warn_days=None,
        inactive_days=None,
        expires=None,
        expires_day=None,
    )


TABLE = Table(
    "password_status",
    PasswordStatus,
    key=("user", "line"),
    reads=(SHADOW, PASSWD),
    collect=collect,
    needs=("CAP_DAC_READ_SEARCH",),
    interval_s=HOUR_S,
    watches=(SHADOW, PASSWD),
    care=(
        "No hash, salt or part of one is in a row. A locked password does not stop a login by key. Where passwd "
        "itself holds a password (users.password_in_passwd), a row of line 0 is of that one, and an account that "
        "has a line in shadow besides is a gap: pam_unix asks passwd, other programs ask shadow."
    ),
)
