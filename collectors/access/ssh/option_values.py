"""Values of key options, taken exactly as OpenSSH takes them: a key must not look refused that opens an account.

Source: sshauthopt_parse and handle_permit in auth-options.c; hpdelim2, a2port, a2tun, valid_env_name and
parse_absolute_time in misc.c; strtonum and strtoll(3), strptime(3) as glibc has it, addr_match_list in addrmatch.c.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable

from collectors.contract import MalformedError

MAX_PORT = 65535
MAX_HOST = 1024  # NI_MAXHOST, less its NUL
MAX_TUNNEL = 0x7FFFFFFF - 2  # SSH_TUNID_MAX

_WHITE = " \t\n\v\f\r"
_MAX_DIGITS = 19
_HOST_AND_PORT = re.compile(r"(\[[^]]*\]|(?!\[)[^:/]*)[:/](.*)", re.DOTALL)
_SERVICE = re.compile(r"[!-~]+")
_NAME = re.compile(r"[A-Za-z0-9_]+")
# strptime(3) lets white space stand for the first digit, but in the year: one that began so would lie before 1970.
_TWO = r"([ \t\v\f\r0-9][0-9])"
_EXPIRY = re.compile(rf"([0-9]{{4}}){_TWO}{_TWO}(?:{_TWO}{_TWO}{_TWO}?)?((?i:Z|UTC))?")
_MAX_SECOND = 61  # of two leap seconds


def check_value(name: str, value: str) -> None:
    """Raise MalformedError if sshd passes a line over for this value of an option."""
    if name in _CHECKS:
        _CHECKS[name](value)


def expiry(value: str) -> str:
    """Return an expiry time as RFC 3339 text: with Z if the option says UTC, else in the host's local time.

    Shape: YYYYMMDD or YYYYMMDDHHMM[SS], then Z or UTC or nothing; a day past the end of its month, and seconds
    past 59, run over into the next, as mktime(3) counts. Past the year 9999 it is the end of that year.
    Raises: MalformedError.
    """
    found = _EXPIRY.fullmatch(value)
    if found is None:
        raise MalformedError("YYYYMMDD[HHMM[SS]][Z] in expiry-time", "something else")
    year, month, day, hour, minute, second = (int(each or 0) for each in found.groups()[:6])
    if not 1 <= day <= 31 or second > _MAX_SECOND:  # noqa: PLR2004  strptime(3) takes 1 to 31 in every month
        raise MalformedError("a date in expiry-time", "something else")
    try:
        start = dt.datetime(year, month, 1, hour, minute)  # noqa: DTZ001  the zone is the host's
    except ValueError:
        raise MalformedError("a date in expiry-time", "something else") from None
    try:
        moment = start + dt.timedelta(days=day - 1, seconds=second)
    except OverflowError:
        moment = dt.datetime(9999, 12, 31, 23, 59, 59)  # noqa: DTZ001
    return moment.isoformat() + ("Z" if found.group(7) else "")


def _permitopen(value: str) -> None:
    host, port = _host_and_port(value)
    if len(os.fsencode(host)) > MAX_HOST:
        raise MalformedError(f"a host of at most {MAX_HOST} bytes in the option permitopen or permitlisten", "more")
    if port != "*" and not _is_port(port):
        raise MalformedError("a port after the host in the option permitopen or permitlisten", "something else")


def _permitlisten(value: str) -> None:
    _permitopen(value if ":" in value else f"*:{value}")


def _host_and_port(value: str) -> tuple[str, str]:
    """Return what stands before and after the first delimiter; brackets end right before one (hpdelim2)."""
    found = _HOST_AND_PORT.fullmatch(value)
    if found is None:
        raise MalformedError("host:port in the option permitopen or permitlisten", "something else")
    return found.group(1), found.group(2)


def _is_port(text: str) -> bool:
    """Return whether a port may count: what is no number may be a name that the services database knows.

    Those names hold nearly anything (`914c/g`, `whois++`), so only what getservbyname(3) cannot find is refused.
    """
    number = _number(text)
    if number is None:
        return _SERVICE.fullmatch(text) is not None and "#" not in text and ":" not in text
    return 1 <= number <= MAX_PORT


def _tunnel(value: str) -> None:
    number = _number(value)
    if value.lower() != "any" and (number is None or not 0 <= number <= MAX_TUNNEL):
        raise MalformedError("any or the number of a device in the option tunnel", "something else")


def _environment(value: str) -> None:
    name, equals, _ = value.partition("=")
    if not equals or not _NAME.fullmatch(name):
        raise MalformedError("NAME=value in the option environment", "something else")


def _from(value: str) -> None:
    if not any(each and not each.startswith("!") for each in value.split(",")):
        raise MalformedError("a pattern that is not negated in the option from", "none")


def _number(text: str) -> int | None:
    """Return the number that strtoll(3) makes of a whole text, None if it is none; a long one is cut, still large.

    White space and a sign may stand before the digits.
    """
    text = text.lstrip(_WHITE)
    digits = text[text[:1] in ("+", "-") :]
    if not (digits.isascii() and digits.isdigit()):
        return None
    number = int(digits.lstrip("0")[:_MAX_DIGITS] or 0)
    return -number if text.startswith("-") else number


_CHECKS: dict[str, Callable[[str], object]] = {
    "environment": _environment,
    "expiry-time": expiry,
    "from": _from,
    "permitlisten": _permitlisten,
    "permitopen": _permitopen,
    "tunnel": _tunnel,
}
