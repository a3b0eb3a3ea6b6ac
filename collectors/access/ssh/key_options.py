"""The options before a key in authorized_keys or before a principal; sshd(8), AUTHORIZED_KEYS FILE FORMAT."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

import msgspec

from collectors.contract import MalformedError

# These two stand as they are; the switches may have `no-` before them.
FLAGS = frozenset({"restrict", "cert-authority"})
SWITCHES = frozenset(
    {
        "port-forwarding",
        "agent-forwarding",
        "x11-forwarding",
        "pty",
        "user-rc",
        "touch-required",
        "verify-required",
    }
)
VALUES = frozenset(
    {"command", "environment", "expiry-time", "from", "permitlisten", "permitopen", "principals", "tunnel"}
)
ONCE = frozenset({"command", "from", "principals"})

_NAME = re.compile(r"[A-Za-z0-9-]+")
_FORMS = {
    "environment": (re.compile(r"[A-Za-z0-9_]{1,256}=.*", re.DOTALL), "NAME=value"),
    "permitlisten": (re.compile(r"(?:(?:\[[^]]*]|[^:/]*):)?(?:\*|[0-9]{1,5}|[a-z][a-z0-9+_-]*)"), "[host:]port"),
    "permitopen": (re.compile(r"(?:\[[^]]*]|[^:/]*):(?:\*|[0-9]{1,5}|[a-z][a-z0-9+_-]*)"), "host:port"),
    "tunnel": (re.compile(r"(?i:any)|[0-9]{1,10}"), "any or the number of a device"),
}
"""What values look like; whether the services database knows a port by its name is not asked."""
_MAX_PORT = 65535
_EXPIRY = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:([0-9]{2})([0-9]{2})([0-9]{2})?)?((?i:Z|UTC))?")


class Option(msgspec.Struct, frozen=True):
    """One option; a flag has no value. The name is in lower case."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        if self.value is None:
            return self.name
        value = self.value.replace('"', r"\"")
        return f'{self.name}="{value}"'


def parse_options(text: str) -> tuple[Option, ...]:
    """Return the options in their order, which matters: a later one takes an earlier one back.

    Raises: MalformedError where sshd would pass the whole line over: an unknown option, a value that is
    missing or not closed, a doubled `command`, `from` or `principals`, a date or environment it cannot read.
    """
    options = tuple(_each_option(text))
    names = [each.name for each in options]
    for name in ONCE:
        if names.count(name) > 1:
            raise MalformedError(f"one {name} option", "several")
    return options


def _each_option(text: str) -> Iterator[Option]:
    at = 0
    while at < len(text):
        if text[at] == ",":  # sshd passes over a comma too many
            at += 1
            continue
        option, at = _option_at(text, at)
        yield option
        if at < len(text) and text[at] != ",":
            raise MalformedError("a comma after an option", "another character")


def _option_at(text: str, at: int) -> tuple[Option, int]:
    word = _NAME.match(text, at)
    name = word.group().lower() if word else ""
    if name in VALUES:
        value, end = _quoted(text, at + len(name))
        _check(name, value)
        return Option(name, value), end
    if name in FLAGS or name.removeprefix("no-") in SWITCHES:
        return Option(name), at + len(name)
    raise MalformedError("an option that sshd(8) lists", "another word")


def _quoted(text: str, at: int) -> tuple[str, int]:
    """Return a value in its quotes and the place after it; only a quote can be escaped."""
    if not text.startswith('="', at):
        raise MalformedError('="', "something else after the name of an option")
    start = at = at + 2
    while True:
        at = text.find('"', at)
        if at < 0:
            raise MalformedError("a closing quote", "the end of the options")
        if text[at - 1] != "\\":
            return text[start:at].replace('\\"', '"'), at + 1
        at += 1


def _check(name: str, value: str) -> None:
    if name == "expiry-time":
        expiry(value)
    elif name in _FORMS:
        form, words = _FORMS[name]
        if not form.fullmatch(value) or (name.startswith("permit") and not _is_port(value.rpartition(":")[2])):
            raise MalformedError(f"{words} in the option {name}", "something else")


def _is_port(text: str) -> bool:
    return not text.isdigit() or 1 <= int(text) <= _MAX_PORT


def expiry(value: str) -> str:
    """Return an expiry time as RFC 3339 text: with Z if the option says UTC, else in the host's local time.

    Shape: YYYYMMDD or YYYYMMDDHHMM[SS], then Z or UTC or nothing; a day past the end of its month runs over
    into the next, as mktime(3) counts.
    Raises: MalformedError.
    """
    found = _EXPIRY.fullmatch(value)
    if found is None:
        raise MalformedError("YYYYMMDD[HHMM[SS]][Z] in expiry-time", "something else")
    year, month, day, hour, minute, second = (int(each or 0) for each in found.groups()[:6])
    try:
        moment = dt.datetime(year, month, 1, hour, minute, second)  # noqa: DTZ001  the zone is the host's
        moment += dt.timedelta(days=_days_after_the_first(day))
    except (ValueError, OverflowError):
        raise MalformedError("a date in expiry-time", "something else") from None
    return moment.isoformat() + ("Z" if found.group(7) else "")


def _days_after_the_first(day: int) -> int:
    if not 1 <= day <= 31:  # noqa: PLR2004  strptime(3) takes 1 to 31 in every month
        raise ValueError(day)
    return day - 1
