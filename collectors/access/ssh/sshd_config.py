"""The configuration of sshd, read as sshd reads it: Include where it stands, Match to the end of its file.

Source: sshd_config(5); OpenSSH's servconf.c for what the page leaves open. Nothing is run.
"""

from __future__ import annotations

import msgspec

from collectors.access.ssh.config_files import ConfigFiles
from collectors.access.ssh.config_lines import ConfigLine, parse_config_line
from collectors.access.ssh.match_block import Scope, parse_match, unknown_criteria, within
from collectors.contract import Gap, MalformedError, path_gap
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.host import Host

MAIN_FILES = ("/etc/ssh/sshd_config", "/usr/etc/ssh/sshd_config")
"""The second is where openSUSE keeps the vendor's file; it counts only without the first."""

MAX_DEPTH = 16  # SERVCONF_MAX_DEPTH


class Directive(msgspec.Struct, frozen=True):
    """One directive where it stands. `keyword` is as written, in lower case."""

    keyword: str
    arguments: tuple[str, ...]
    path: str
    line: int
    scope: Scope


class Configuration(msgspec.Struct):
    """All directives in the order sshd meets them, and what could not be read."""

    directives: list[Directive] = []
    gaps: list[Gap] = []
    absent: bool = False
    """There is no main file at all."""


def read_configuration(host: Host) -> Configuration:
    """Return the configuration of a host; without a main file it has one `absent` gap and no directive."""
    configuration = Configuration()
    files = ConfigFiles(host)
    main = _main_file(host)
    if main is None:
        return Configuration(gaps=[path_gap(MAIN_FILES[0], "absent")], absent=True)
    _File(files, configuration.directives, main).read()
    configuration.gaps.extend(files.gaps)
    return configuration


def _main_file(host: Host) -> str | None:
    for path in MAIN_FILES:
        try:
            host.look(path, follow=True)
        except AbsentError:
            continue
        except ReadError:
            return path
        return path
    return None


class _File:
    """One file while it is read. `outer` is the Match block around the Include that named it."""

    def __init__(self, files: ConfigFiles, to: list[Directive], path: str, outer: Scope = (), depth: int = 0) -> None:
        self._files = files
        self._to = to
        self._path = path
        self._outer = outer
        self._depth = depth
        self._number = 0
        self._scope: Scope | None = outer  # None while the condition is not known

    def read(self) -> None:
        """Take in every line, those of included files in their place."""
        for raw in self._files.lines(self._path):
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
            self._to.append(Directive(line.keyword, line.arguments, self._path, self._number, self._scope))

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
            for each in self._files.named(argument):
                _File(self._files, self._to, each, scope, self._depth + 1).read()

    def _malformed(self, detail: str) -> None:
        self._files.tell(path_gap(self._path, "malformed", detail, line=self._number))
