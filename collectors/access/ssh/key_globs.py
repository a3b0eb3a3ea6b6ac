"""Wildcards in AuthorizedKeysFile and AuthorizedPrincipalsFile, which OpenSSH 10.0 follows and older ones do not."""

from __future__ import annotations

from collections.abc import Iterator

from collectors.access.ssh.glob_patterns import WILD
from collectors.access.ssh.included_paths import included_paths
from collectors.access.ssh.key_paths import Account, Place
from collectors.access.ssh.trusted_folders import TrustedFolders
from collectors.contract import Gap, path_gap
from collectors.reading.errors import ReadError
from collectors.reading.host import Host

SINCE_TEN = tuple(
    f"{folder}/sshd-auth"
    for folder in (
        "/usr/lib/openssh",
        "/usr/libexec/openssh",
        "/usr/lib/ssh",
        "/usr/libexec/ssh",
        "/usr/lib/misc",
        "/usr/local/libexec",
    )
)
"""A program that came with OpenSSH 10.0, in the folders of distributions: a server that has it follows wildcards."""


MAX_NAMES = 10_000
MAX_FILES = 1_000
"""That one path of one user is looked for in, and stands for: the folders may be his."""


class KeyGlobs:
    """Finds the files that the paths of a user stand for; what two versions read otherwise is told once a setting."""

    def __init__(self, host: Host, folders: TrustedFolders) -> None:
        self._host = host
        self._folders = folders
        self._shared: dict[str, list[str]] = {}
        self._told: set[str] = set()
        self._follows: bool | None = None

    def files(self, account: Account, found: list[Place]) -> Iterator[Place | Gap]:
        """Yield each file once, with every Match block that leads to it, and what could not be looked into.

        A path with wildcards stands for the files that fit it, and for the one of that very name, which older
        servers read.
        """
        files: dict[str, Place] = {}
        for place in found:
            gaps: list[Gap] = []
            for path in self._paths(place, account, gaps):
                known = files[path].matches if path in files else ()
                files[path] = Place(path, tuple(dict.fromkeys((*known, *place.matches))), place.shared, place.template)
            yield from gaps
        yield from files.values()

    def _paths(self, place: Place, account: Account, gaps: list[Gap]) -> list[str]:
        if WILD.isdisjoint(place.path):
            return [place.path]
        fitting = self._shared.get(place.path)
        if fitting is None:
            fitting = self._fitting(place.path, account, gaps)
        if place.shared:
            self._shared[place.path] = fitting
        if self._ambiguous(place, fitting, account):
            self._told.add(place.template)
            gaps.append(path_gap(place.template, "unknown_format", _DETAIL))
        return list(dict.fromkeys([place.path, *fitting]))

    def _fitting(self, path: str, account: Account, gaps: list[Gap]) -> list[str]:
        found = included_paths(
            self._host,
            path,
            lambda error: gaps.append(error.gap()),
            lambda way: self._folders.above(way, account),
            MAX_NAMES,
        )
        if len(found) > MAX_FILES:
            detail = f"expected at most {MAX_FILES} files that fit, found more"
            gaps.append(path_gap(path, "truncated", detail, count=len(found) - MAX_FILES))
        return found[:MAX_FILES]

    def _ambiguous(self, place: Place, fitting: list[str], account: Account) -> bool:
        """Return whether versions read different files, and which one this is cannot be told."""
        if place.template in self._told or self._follows:
            return False
        if fitting == ([place.path] if self._stands(place.path, self._folders.above(place.path, account)) else []):
            return False
        if self._follows is None:
            self._follows = any(self._stands(each) for each in SINCE_TEN)
        return not self._follows

    def _stands(self, path: str, untrusted: str | None = None) -> bool:
        try:
            self._host.look(path, untrusted=untrusted)
        except ReadError:
            return False
        return True


_DETAIL = (
    "expected to know the server's version, found a path with wildcards: the files that fit it, which OpenSSH 10 "
    "reads, and the one of that very name, which older ones read, are listed"
)
