"""Which distribution this is, from os-release; format in os-release(5), quoting as shells do it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from collectors.reading.errors import AbsentError, ReadError

if TYPE_CHECKING:
    from collectors.reading.host import Host

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
"""In the order os-release(5) gives; the second is read only where the first does not exist."""

LIMIT = 64 << 10

# Inside double quotes a shell drops the backslash before these four alone; POSIX Shell, 2.2.3.
ESCAPED = re.compile(r'\\([$`"\\])')
ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")


def read_os_release(host: Host) -> dict[str, str]:
    """Return the variables of the host's os-release file.

    Raises: AbsentError where neither file exists, ReadError where the first that does cannot be read whole.
    """
    try:
        content = host.read(OS_RELEASE[0], limit=LIMIT)
    except AbsentError:
        content = host.read(OS_RELEASE[1], limit=LIMIT)
    if content.truncated:  # what counts may stand behind the cut
        raise ReadError(content.path, "truncated", f"expected at most {LIMIT} bytes, found more")
    return parse_os_release(content.data.decode("utf-8", "backslashreplace"))


def parse_os_release(text: str) -> dict[str, str]:
    """Return the variables that an os-release file assigns; of two assignments the later counts.

    Shape: a line that is no assignment, or whose quotes do not close, assigns nothing and is passed over,
    as is one with a NUL. An assigned empty text stays empty.
    Source: os-release(5).
    """
    variables = {}
    for line in text.split("\n"):
        found = ASSIGNMENT.fullmatch(line.strip())
        value = None if found is None or "\0" in line else unquote(found[2])
        if found is not None and value is not None:
            variables[found[1]] = value
    return variables


def unquote(word: str) -> str | None:
    """Return what a shell would assign from one quoted or bare word, or None if it is not one word."""
    quote = word[:1]
    if quote not in {"'", '"'}:
        return _unquote_bare(word)
    inner = word[1:-1]
    if len(word) < 2 or word[-1] != quote:  # noqa: PLR2004  an opening and a closing quote
        return None
    if quote == "'":
        return None if "'" in inner else inner
    # What is left of an escape or a quote after all whole escapes are gone stands where none may.
    rest = ESCAPED.sub("", inner)
    if '"' in rest or rest.endswith("\\"):
        return None
    return ESCAPED.sub(r"\1", inner)


def _unquote_bare(word: str) -> str | None:
    plain = re.sub(r"\\(.)", "", word)
    if re.search(r"""[\s'"`$\\;&|<>()]""", plain):
        return None
    return re.sub(r"\\(.)", r"\1", word)
