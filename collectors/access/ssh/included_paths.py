"""The files an Include names: glob(3) over a host, in the order sshd reads them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.host import Host

FOLDER = "/etc/ssh"

_WILD = frozenset("*?[")


def pattern_path(argument: str) -> str:
    """Return the pattern sshd looks for: below /etc/ssh unless it begins with / or ~ (which is not expanded)."""
    return argument if argument.startswith(("/", "~")) else f"{FOLDER}/{argument}"


def included_paths(host: Host, pattern: str) -> Iterator[str]:
    """Yield the paths that a pattern fits, sorted by bytes as in the C locale; none is not an error.

    Raises: ReadError for a folder that cannot be listed.
    """
    if not pattern.startswith("/"):
        return
    found = [""]
    for part in pattern.split("/")[1:]:
        found = [each for folder in found for each in _children(host, folder, part)]
    yield from sorted((each for each in found if _exists(host, each)), key=os.fsencode)


def _children(host: Host, folder: str, part: str) -> list[str]:
    if _WILD.isdisjoint(part):
        return [f"{folder}/{_unescaped(part)}"]
    fits = re.compile(_expression(part), re.DOTALL)
    try:
        names = host.names(folder or "/")
    except AbsentError:
        return []
    except ReadError as error:
        if error.reason == "not_regular":  # a wildcard in a file's place fits nothing
            return []
        raise
    hidden = part.startswith(".")
    return [f"{folder}/{name}" for name in names if fits.fullmatch(name) and (hidden or name[0] != ".")]


def _exists(host: Host, path: str) -> bool:
    """Return whether glob(3) would give the path; what cannot be looked at is for the reader to report."""
    try:
        host.look(path)
    except AbsentError:
        return False
    except ReadError:
        return True
    return True


def _unescaped(part: str) -> str:
    return re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL)


def _expression(part: str) -> str:
    """Return the regular expression of one part of a path with wildcards; see glob(7)."""
    pieces: list[str] = []
    at = 0
    while at < len(part):
        letter = part[at]
        end = part.find("]", at + 2 + (part[at + 1 : at + 2] in ("!", "^"))) if letter == "[" else -1
        if end > 0:
            body = part[at + 1 : end]
            negated = body[:1] in ("!", "^")
            letters = re.sub(r"([\\\[\]^&~|])", r"\\\1", body[negated:])
            pieces.append(f"[{'^' if negated else ''}{letters}]")
            at = end
        elif letter == "\\" and at + 1 < len(part):
            at += 1
            pieces.append(re.escape(part[at]))
        else:
            pieces.append({"*": ".*", "?": "."}.get(letter, re.escape(letter)))
        at += 1
    return re.sub(r"(\.\*)+", ".*", "".join(pieces))
