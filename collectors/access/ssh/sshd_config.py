"""The configuration of sshd, read as sshd reads it: Include where it stands, Match to the end of its file.

Source: sshd_config(5); OpenSSH's servconf.c for what the page leaves open. Nothing is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from collectors.access.ssh.config_lines import ConfigLine, parse_config_line
from collectors.access.ssh.included_paths import included_paths, pattern_path
from collectors.access.ssh.match_block import Scope, parse_match, unknown_criteria, within
from collectors.contract import Gap, MalformedError, path_gap
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.host import Host

MAIN_FILES = ("/etc/ssh/sshd_config", "/usr/etc/ssh/sshd_config")
"""The second is where openSUSE keeps the vendor's file; it counts only without the first."""

READ_BELOW = ("/etc/*", "/usr/*", "/opt/*", "/run/*", "/var/lib/*")
"""Where an Include may lead; another place is a gap."""

MAX_DEPTH = 16  # SERVCONF_MAX_DEPTH
MAX_FILES = 1024
MAX_BYTES = 4 << 20


@dataclass(frozen=True)
class Directive:
    """One directive where it stands. `keyword` is as written, in lower case."""

    keyword: str
    arguments: tuple[str, ...]
    path: str
    line: int
    scope: Scope


@dataclass
class Configuration:
    """All directives in the order sshd meets them, and what could not be read."""

    directives: list[Directive] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    absent: bool = False
    """There is no main file at all."""


def read_configuration(host: Host) -> Configuration:
    """Return the configuration of a host; without a main file it has one `absent` gap and no directive."""
    configuration = Configuration()
    for path in MAIN_FILES:
        try:
            host.look(path, follow=True)
        except AbsentError:
            continue
        except ReadError as error:
            configuration.gaps.append(error.gap())
            return configuration
        _File(_Reading(host, configuration), path).read()
        return configuration
    return Configuration(gaps=[path_gap(MAIN_FILES[0], "absent")], absent=True)


@dataclass
class _Reading:
    """What all files of one configuration share."""

    host: Host
    to: Configuration
    files_left: int = MAX_FILES
    bytes_left: int = MAX_BYTES
    cut: bool = False

    def lines(self, path: str) -> Iterator[bytes]:
        """Yield the whole lines of one more file, within what is left of the budget."""
        self.files_left -= 1
        if self.files_left < 0 or self.bytes_left <= 0:
            self._cut(path)
            return
        try:
            content = self.host.read(path, limit=self.bytes_left)
        except ReadError as error:
            self.to.gaps.append(error.gap())
            return
        self.bytes_left -= len(content.data)
        lines = content.data.split(b"\n")
        if content.truncated:
            lines.pop()
        yield from lines
        if content.truncated:
            self._cut(path)

    def _cut(self, path: str) -> None:
        if self.cut:
            return
        self.cut = True
        wanted = f"expected at most {MAX_FILES} files and {MAX_BYTES} bytes, found more"
        self.to.gaps.append(path_gap(path, "truncated", wanted))


class _File:
    """One file while it is read. `outer` is the Match block around the Include that named it."""

    def __init__(self, reading: _Reading, path: str, outer: Scope = (), depth: int = 0) -> None:
        self._reading = reading
        self._path = path
        self._outer = outer
        self._depth = depth
        self._number = 0
        self._scope: Scope | None = outer  # None while the condition is not known

    def read(self) -> None:
        """Take in every line, those of included files in their place."""
        for raw in self._reading.lines(self._path):
            self._number += 1
            try:
                self._take(raw)
            except MalformedError as error:
                self._malformed(str(error))

    def _take(self, raw: bytes) -> None:
        if b"\0" in raw:
            raise MalformedError("a line without NUL", "one")
        line = parse_config_line(raw.decode("utf-8", "surrogateescape"))
        if line is None:
            return
        if line.keyword == "match":
            self._match(line)
        elif self._scope is None:
            return
        elif line.keyword == "include":
            self._include(line, self._scope)
        else:
            place = Directive(line.keyword, line.arguments, self._path, self._number, self._scope)
            self._reading.to.directives.append(place)

    def _match(self, line: ConfigLine) -> None:
        self._scope = None
        try:
            inner = parse_match(line.arguments)
        except MalformedError as error:
            self._malformed(f"{error}; the lines up to the next Match are left out")
            return
        if unknown_criteria(inner):
            self._malformed("expected a Match criterion of sshd_config(5), found another")
        self._scope = within(self._outer, inner)

    def _include(self, line: ConfigLine, scope: Scope) -> None:
        if self._depth == MAX_DEPTH:
            raise MalformedError(f"at most {MAX_DEPTH} files that include each other", "more")
        for argument in line.arguments:
            for each in self._named(argument):
                self._read_included(each, scope)

    def _named(self, argument: str) -> tuple[str, ...]:
        try:
            return tuple(included_paths(self._reading.host, pattern_path(argument)))
        except ReadError as error:
            self._reading.to.gaps.append(error.gap())
            return ()

    def _read_included(self, path: str, scope: Scope) -> None:
        if "/.." in path or not any(fnmatchcase(path, each) for each in READ_BELOW):
            wanted = f"expected a file in one of {', '.join(READ_BELOW)}, found another place"
            self._reading.to.gaps.append(path_gap(path, "not_entered", wanted))
        else:
            _File(self._reading, path, scope, self._depth + 1).read()

    def _malformed(self, detail: str) -> None:
        self._reading.to.gaps.append(path_gap(self._path, "malformed", detail, line=self._number))
