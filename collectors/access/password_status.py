"""State and ages of local passwords, from /etc/shadow; format in shadow(5) and crypt(5).

No hash leaves the parser.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from collectors.access.users import PASSWD, says_nothing, user_on
from collectors.contract import DAY_S, HOUR_S, Gap, MalformedError, Row, Table, means, path_gap, utc
from collectors.reading.host import Host
from collectors.reading.lines import each_line

SHADOW = "/etc/shadow"
FIELDS = 9  # shadow(5)

State = Literal["set", "locked_with_hash", "locked", "disabled", "empty", "invalid", "no_shadow"]

# crypt(5): prefix, then the name under which the manual page lists it.
SCHEMES = {
    "1": "md5crypt",
    "2": "bcrypt",
    "2a": "bcrypt",
    "2b": "bcrypt",
    "2x": "bcrypt",
    "2y": "bcrypt",
    "3": "nthash",
    "5": "sha256crypt",
    "6": "sha512crypt",
    "7": "scrypt",
    "gy": "gost-yescrypt",
    "md5": "sunmd5",
    "sha1": "sha1crypt",
    "sm3": "sm3crypt",
    "sm3y": "sm3-yescrypt",
    "y": "yescrypt",
}
DEFAULT_ROUNDS = 5000  # crypt(5): sha256crypt and sha512crypt without rounds=
SALT = frozenset("./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


class PasswordStatus(Row):
    """One line of shadow, or an account of passwd that has none."""

    user: Annotated[str, means("login name", personal=True)]
    line: Annotated[int, means("line of shadow, counted from 1; 0 for an account that has no line there")]
    state: Annotated[
        State,
        means(
            "set: a usable hash; locked_with_hash: ! before one (passwd -l); locked: ! or !! alone; disabled: * "
            "or another text that no hash can equal; empty: no password is asked; invalid: begins like a hash "
            "but is none; no_shadow: the account has no line in shadow"
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


def parse_shadow(text: str, line: int) -> PasswordStatus:
    """Return state and ages on one shadow line; the hash is classified here and goes no further.

    Units: days are counted from 1970-01-01 UTC; spans are in days.
    Shape: exactly 9 fields; an empty number is None, -1 too (chage(1) writes it for "none"), and 0 stays 0.
    Raises: MalformedError on another field count or a number that is not decimal.
    Source: shadow(5); crypt(5).
    """
    fields = text.split(":")
    if len(fields) != FIELDS:
        raise MalformedError("9 fields", str(len(fields)))
    state, algorithm, cost = classify(fields[1])
    changed, minimum, maximum, warn, inactive, expires = (day(each) for each in fields[2:8])
    return PasswordStatus(
        user=fields[0],
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


def day(text: str) -> int | None:
    """Return a number of days; nothing and -1 are None."""
    if text in {"", "-1"}:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):  # noqa: PLR2004  a billion days are enough
        raise MalformedError("a decimal number of days", "another text")
    return int(text)


def classify(field: str) -> tuple[State, str | None, int | None]:
    """Return (state, algorithm, cost) of a password field. Source: shadow(5), field 2; crypt(5)."""
    if not field:
        return "empty", None, None
    locked = field.startswith("!")
    bare = field.lstrip("!") if locked else field
    if not bare or bare == "*":  # "!", "!!", "!*" of useradd and installers, "*" of base-passwd
        return ("locked" if locked else "disabled"), None, None
    algorithm, cost = scheme(bare)
    if algorithm is None:
        # "*NP*", "NP", "*LK*" and the like: no hash can equal them
        known_text = bare.startswith("*") or not bare.startswith("$")
        return ("locked" if locked else "disabled" if known_text else "invalid"), None, None
    return ("locked_with_hash" if locked else "set"), algorithm, cost


def scheme(text: str) -> tuple[str | None, int | None]:
    """Return (name, cost) of a hash in the forms of crypt(5), or (None, None) if it is none of them."""
    if text.startswith("$"):
        return _modular(text.split("$"))
    if text.startswith("_") and len(text) == 20 and SALT.issuperset(text[1:]):  # noqa: PLR2004
        return "bsdicrypt", None
    if len(text) == 13 and SALT.issuperset(text):  # noqa: PLR2004
        return "descrypt", None
    if len(text) > 13 and (len(text) - 2) % 11 == 0 and SALT.issuperset(text):  # noqa: PLR2004
        return "bigcrypt", None
    return None, None


def _modular(parts: list[str]) -> tuple[str | None, int | None]:
    """Read `$id$parameters$salt$hash`; a hash part must be there, or nobody can log in with it."""
    prefix = parts[1].partition(",")[0] if len(parts) > 1 else ""  # sunmd5 writes $md5,rounds=
    name = SCHEMES.get(prefix)
    if name is None or len(parts) < 4 or not parts[-1]:  # noqa: PLR2004
        return None, None
    if name in {"sha256crypt", "sha512crypt"}:
        rounds = parts[2].removeprefix("rounds=")
        return name, (_number(rounds) if rounds != parts[2] else DEFAULT_ROUNDS)
    return name, (_number(parts[2]) if name in {"bcrypt", "sha1crypt"} else None)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None  # noqa: PLR2004


def collect(host: Host) -> Iterable[PasswordStatus | Gap]:
    """Yield every line of shadow, then the accounts of passwd that have none there."""
    names: dict[int, str] = {}
    whole = True

    def parse(text: str, line: int) -> PasswordStatus | None:
        names[line] = text.partition(":")[0]  # a line that is malformed is there all the same
        return None if says_nothing(text, FIELDS) else parse_shadow(text, line)

    for entry in each_line(host, SHADOW, parse):
        if isinstance(entry, Gap):
            whole = whole and entry.line in names  # else no name was had: whose line it is cannot be said
            yield entry
        elif entry.user.startswith(("+", "-")):  # nsswitch.conf(5), "compat mode"
            yield path_gap(SHADOW, "unenumerable", "a line that asks a directory server for passwords", line=entry.line)
        else:
            yield entry
    if whole:
        yield from _without_shadow(host, set(names.values()))


def _without_shadow(host: Host, named: set[str]) -> Iterable[PasswordStatus | Gap]:
    """Yield a row for each name of passwd that shadow lacks; what its own field holds stands in `users`."""
    seen = set(named)
    for user in each_line(host, PASSWD, user_on):
        if isinstance(user, Gap):
            yield user
        elif user.source == "local" and user.name not in seen:
            seen.add(user.name)
            yield PasswordStatus(
                user=user.name,
                line=0,
                state="no_shadow",
                algorithm=None,
                cost=None,
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
        "No hash, salt or part of one is in a row. A locked password does not stop a login by key. An account "
        "without a line in shadow may still have a hash in passwd: see users.password_in_passwd."
    ),
)
