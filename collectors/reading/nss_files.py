"""One line of passwd, group, shadow or gshadow as the C library reads it; glibc, nss/nss_files/files-parse.c.

What login, sshd and id(1) know of an account they have from there, so an odd line counts as it counts for them.
"""

from __future__ import annotations

import re

from collectors.contract import MalformedError

BLANKS = " \t\n\v\f\r"
"""What isspace(3) says of ASCII."""

_NUMBER = re.compile(rf"[{BLANKS}]*([+-]?)([0-9]+)")
_ULONG = 2**64
_DIGITS = 20
"""Of the largest unsigned long; what has more is larger, and is not worth its conversion."""


def entry(text: str) -> str:
    """Return a line without the blanks before it, which count for nothing (nss/nss_readline.c)."""
    return text.lstrip(BLANKS)


def says_nothing(text: str, fields: int) -> bool:
    """Return whether a line is blank or a comment, which glibc passes over.

    A comment in the shape of an entry is none: musl takes it for an entry of that name, glibc's initgroups(3) counts
    its members, and a row shows it.
    """
    line = entry(text)
    return not line or (line.startswith("#") and line.count(":") + 1 < fields)


def number(text: str, name: str) -> int:
    """Return an id below 2^32 as strtoul(3) reads it: blanks and a sign may stand before its digits.

    Raises: MalformedError on anything else, without quoting it. A larger one is 2^32-1 to glibc, none to Debian's, and
    to musl what is left of it modulo 2^32, so whose it is cannot be said.
    """
    value = _unsigned(text)
    if value is None or value >= 2**32:
        raise MalformedError(f"a decimal {name} below 2^32", "another text")
    return value


def signed(text: str) -> int | None:
    """Return a number of shadow: nothing is None, as is what an int holds as a negative one (shadow/sgetspent_r.c).

    Debian's glibc takes no line with a number past 2^32 or below 0; another's does, so there is a row.
    Raises: MalformedError on another text, without quoting it.
    """
    if not text:
        return None
    value = _unsigned(text)
    if value is None:
        raise MalformedError("a decimal number of days", "another text")
    return value if value < 2**31 else None


def listed(text: str) -> tuple[str, ...]:
    """Return a list of names separated by commas, sorted, each once; blanks before a name are not part of it."""
    return tuple(sorted({name for each in text.split(",") if (name := each.lstrip(BLANKS))}))


def _unsigned(text: str) -> int | None:
    """Return what strtoul(3) makes of a text, None if that does not end with it."""
    if len(text) < _DIGITS and text.isascii() and text.isdigit():
        return int(text)
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    digits = found[2].lstrip("0")
    value = int(digits or "0") if len(digits) <= _DIGITS else _ULONG
    if value >= _ULONG:
        return _ULONG - 1
    return -value % _ULONG if found[1] == "-" else value
