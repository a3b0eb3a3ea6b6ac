"""Which distribution this is, from os-release; format in os-release(5), quoting as shells do it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from collectors.contract import Gap
from collectors.reading.errors import AbsentError, ReadError

if TYPE_CHECKING:
    from collectors.reading.host import Host

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
"""In the order os-release(5) gives; the second is read only where the first does not exist."""

LIMIT = 64 << 10
MOST = 20
"""How many lines not understood are gaps of their own: a file has about as many. More are counted in one."""

ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
MEANT = re.compile(r"\s*(?:export\s+)?(?:ID|VERSION_ID)\b")
# One part of a word, each kind known by its first character; POSIX Shell, 2.2. What is expanded is no part.
PART = re.compile(
    r"""'([^'\n]*)'"""
    r"""|"((?:[^"\\$`\n]|\\.|\$(?![A-Za-z0-9_({@*#?$!-]))*)\""""
    r"""|\\(.)"""
    r"""|((?!(?<=:)~)[^\s'"`$\\;&|<>()])"""
)
# Inside double quotes a shell drops the backslash before these four alone; POSIX Shell, 2.2.3.
ESCAPED = re.compile(r'\\([$`"\\])')
REST = re.compile(r"\s*(?:\s#.*)?")


class Release(NamedTuple):
    """What an os-release file assigns, and a gap for each assignment that was not understood."""

    variables: dict[str, str]
    gaps: list[Gap]


def read_os_release(host: Host) -> Release:
    """Return the variables of the host's os-release file.

    Raises: AbsentError where neither file exists, ReadError where the first that does cannot be read whole.
    """
    try:
        content = host.read(OS_RELEASE[0], limit=LIMIT)
    except AbsentError:
        content = host.read(OS_RELEASE[1], limit=LIMIT)
    if content.truncated:  # what counts may stand behind the cut
        raise ReadError(content.path, "truncated", f"expected at most {LIMIT} bytes, found more")
    variables, odd = parse_os_release(content.data.decode("utf-8", "backslashreplace"))
    return Release(variables, list(_gaps(content.path, odd)))


def _gaps(path: str, odd: list[int]) -> Iterator[Gap]:
    expected = "an assignment of one word without expansions, found another form"
    for line in odd[:MOST]:
        yield Gap(path, "malformed", f"expected {expected}", line=line)
    if len(odd) > MOST:
        yield Gap(path, "malformed", "more such lines", count=len(odd) - MOST)


def parse_os_release(text: str) -> tuple[dict[str, str], list[int]]:
    """Return (the variables that an os-release file assigns, the lines whose assignment is not understood).

    Of two assignments the later counts, and nothing does if that is not understood. A line that is no assignment is
    passed over, but not one that begins with the name of what counts most. A value is what a shell would assign: parts
    in quotes and without stand side by side, a comment ends it, and a backslash before the end of a line continues it.
    A value with an expansion, a NUL or a line end in quotes is not understood.
    Source: os-release(5), which allows less and says that shells may read the file.
    """
    variables: dict[str, str] = {}
    odd: list[int] = []
    lines = enumerate(text.split("\n"), start=1)
    for number, first in lines:
        found, line = _assigned(first), first
        while found is None and _continues(line):
            line = line[:-1] + next(lines, (0, ""))[1]
            found = _assigned(line) if not _continues(line) else None
        if found is not None:
            variables[found[0]] = found[1]
        elif (assigned := ASSIGNMENT.match(line)) or MEANT.match(line):
            odd.append(number)
            if assigned:  # what an earlier line said is not the value any more
                variables.pop(assigned[1], None)
    return variables, odd


def _continues(line: str) -> bool:
    backslashes = len(line) - len(line.rstrip("\\"))
    return backslashes % 2 == 1 and not line.lstrip().startswith("#")


def _assigned(line: str) -> tuple[str, str] | None:
    found = ASSIGNMENT.match(line)
    value = None if found is None or "\0" in line else unquote(found[2])
    return None if found is None or value is None else (found[1], value)


def unquote(text: str) -> str | None:
    """Return what a shell would assign from the word that a text begins with; None unless a comment at most follows."""
    if text.startswith("~"):  # a home folder, as behind a colon
        return None
    parts, at = [], 0
    while found := PART.match(text, at):
        single, double, escaped, bare = found.groups()
        parts.append(ESCAPED.sub(r"\1", double) if double is not None else single or escaped or bare or "")
        at = found.end()
    return "".join(parts) if REST.fullmatch(text, at) else None
