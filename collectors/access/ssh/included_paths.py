"""The files a pattern of sshd_config names: its own glob(3) over a host, in the order sshd reads them."""

from __future__ import annotations

import os
from collections.abc import Callable

from collectors.access.ssh.glob_patterns import Part, parts_of
from collectors.contract import MalformedError
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.host import Host

FOLDER = "/etc/ssh"

MAX_NAMES = 100_000
"""Of all folders that one pattern leads through: who owns one of them must not make the others wait."""


def pattern_path(argument: str) -> str:
    """Return the pattern sshd looks for: below /etc/ssh unless it begins with / or ~ (which is not expanded)."""
    return argument if argument.startswith(("/", "~")) else f"{FOLDER}/{argument}"


def included_paths(
    host: Host,
    pattern: str,
    tell: Callable[[ReadError], object],
    untrusted: Callable[[str], str | None] = lambda _: None,
    most: int = MAX_NAMES,
) -> list[str]:
    """Return the paths of files that a pattern fits, sorted by bytes as in the C locale; none is not an error.

    A folder that cannot be listed, and a pattern that cannot be read, is told and the rest is looked for.
    `untrusted` gives the folder below which no link may be followed on the way to a path; `most` is the budget of
    names in all folders together.
    """
    try:
        parts = parts_of(pattern)
    except MalformedError as error:
        tell(ReadError(pattern, "malformed", str(error)))
        return []
    if parts is None or not pattern.startswith("/") or parts[-1].text in {"", "."}:  # what ends so is a folder
        return []
    walk = _Walk(host, tell, untrusted, most)
    found = [""]
    for part in parts[1:-1]:
        found = [each for folder in found for each in walk.below(folder, part, dots=True)]
    found = [each for folder in found for each in walk.below(folder, parts[-1])]
    return sorted((each for each in found if walk.exists(each)), key=os.fsencode)


class _Walk:
    """Looks into folders, within one budget of names."""

    def __init__(
        self, host: Host, tell: Callable[[ReadError], object], untrusted: Callable[[str], str | None], most: int
    ) -> None:
        self._host = host
        self._tell = tell
        self._untrusted = untrusted
        self._left = most

    def below(self, folder: str, part: Part, *, dots: bool = False) -> list[str]:
        """Return what one part of a pattern leads to in a folder; a name without wildcards is not looked for.

        The folder itself and the one above it are names too, to readdir(3), and count as such: they lead round in
        circles.
        """
        if part.text is not None:
            return [folder if part.text in {"", "."} else f"{folder}/{part.text}"]
        names = self._names(folder)
        if names is None:
            return []
        around = [name for name in (".", "..") if dots and part.fits(name)]
        self._left = max(0, self._left - len(around))
        fitting = [*around, *(name for name in names if part.fits(name))]
        return [folder if name == "." else f"{folder}/{name}" for name in fitting]

    def exists(self, path: str) -> bool:
        """Return whether glob(3) would give the path; what cannot be looked at is for the reader to report."""
        try:
            self._host.look(path, untrusted=self._untrusted(path))
        except AbsentError:
            return False
        except ReadError:
            return True
        return True

    def _names(self, folder: str) -> list[str] | None:
        """Return the names in a folder, within the budget; None if there is no such folder, or no leave to list it."""
        if self._left == 0:
            self._tell(ReadError(folder or "/", "truncated", "the budget of names for one pattern is used up"))
            return None
        try:
            names = self._host.names(folder or "/", limit=self._left, untrusted=self._untrusted(f"{folder}/x"))
        except AbsentError:
            return None
        except ReadError as error:
            if error.reason != "not_regular":  # a wildcard in a file's place fits nothing
                self._tell(error)
            return None
        self._left -= len(names)
        return names
