"""sudoers lines: the entries of sudo's grammar (gram.y), and how it goes on after an error (sudo 1.9.3 and later).

An error costs its line and no more. What of the line was complete is kept where sudo keeps it: the aliases that
stand before the error, the path of an include, and the rules before a `:` after which the line ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from collectors.access.sudoers.lists import ListParser
from collectors.access.sudoers.model import (
    Alias,
    AliasKind,
    Command,
    Content,
    Defaults,
    Include,
    Member,
    Privilege,
    Problem,
    Scope,
    Setting,
    Statement,
    UserSpec,
)
from collectors.access.sudoers.rules import OPTIONS
from collectors.access.sudoers.stream import SyntaxProblemError, TokenStream
from collectors.access.sudoers.tokenizer import Tokenizer

_SCOPES: tuple[Scope, ...] = ("Defaults", "Defaults@", "Defaults:", "Defaults>", "Defaults!")
_ALIASES: tuple[AliasKind, ...] = ("User_Alias", "Runas_Alias", "Host_Alias", "Cmnd_Alias")
_OPERATORS: tuple[Literal["=", "+=", "-="], ...] = ("=", "+=", "-=")


class Parser:
    """Reads one file."""

    def __init__(self, text: str, *, options: frozenset[str] = frozenset(OPTIONS)) -> None:
        self._tokens = TokenStream(Tokenizer(text, options=options))
        self._lists = ListParser(self._tokens)
        self._included: Include | None = None  # what sudo keeps of the line at hand if it goes wrong now
        self._defined: list[Alias] = []
        self._problems: list[Problem] = []
        self._unfinished = False

    def is_unfinished(self) -> bool:
        """Return whether the file ends inside a line that was to be continued; all statements are used up."""
        for _ in self.statements():
            pass
        return self._unfinished

    def statements(self) -> Iterator[Statement]:
        """Yield the lines in order; blank ones and comments are passed over."""
        while (token := self._tokens.peek()).kind != "eof":
            if self._tokens.accept("newline") is None:
                yield self._statement(token.line)

    def _statement(self, line: int) -> Statement:
        self._included, self._defined, self._problems = None, [], []
        content: Content | None
        try:
            content = self._entry()
        except SyntaxProblemError as error:
            self._report(error.problem)
            self._unfinished = not self._tokens.skip_line()
            content = tuple(self._defined) or self._included
        return Statement(line, content, tuple(self._problems))

    def _report(self, problem: Problem) -> None:
        """Keep a problem of the line at hand, unless there is one of the same physical line."""
        if not self._problems or self._problems[-1].line != problem.line:
            self._problems.append(problem)

    def _entry(self) -> Content:
        kind = self._tokens.peek().kind
        if kind in ("include", "includedir"):
            return self._include()
        for scope in _SCOPES:
            if kind == scope:
                return self._defaults(scope)
        for alias in _ALIASES:
            if kind == alias:
                return self._aliases(alias)
        return self._user_spec()

    def _include(self) -> Include:
        folder = self._tokens.next().kind == "includedir"
        content = Include(self._tokens.expect("word", what="a path").text, folder)
        self._included = content
        self._tokens.expect("newline", what="the end of the line")
        return content

    def _user_spec(self) -> UserSpec:
        users = self._lists.users()
        privileges = [self._privilege()]
        while self._tokens.accept(":"):
            self._further(privileges)
        self._tokens.expect("newline", what="`:` or the end of the line")
        return UserSpec(users, tuple(privileges))

    def _further(self, privileges: list[Privilege]) -> None:
        """Add the privilege after a `:`, or report its problem; what then follows decides about the line."""
        try:
            privileges.append(self._privilege())
        except SyntaxProblemError as error:  # gram.y: privileges ':' error
            self._report(error.problem)

    def _privilege(self) -> Privilege:
        hosts = self._lists.hosts()
        self._tokens.expect("=", what="`=` after the hosts")
        return Privilege(hosts, self._lists.specs())

    def _defaults(self, scope: Scope) -> Defaults:
        self._tokens.next()
        members: tuple[Member, ...] = ()
        commands: tuple[Command, ...] = ()
        if scope == "Defaults@":
            members = self._lists.hosts()
        elif scope == "Defaults!":
            commands = self._lists.commands()
        elif scope != "Defaults":
            members = self._lists.users()
        settings = [self._setting()]
        while self._tokens.accept(","):
            settings.append(self._setting())
        self._tokens.expect("newline", what="`,` or the end of the line")
        return Defaults(scope, tuple(settings), members, commands)

    def _setting(self) -> Setting:
        off = self._tokens.accept("!") is not None
        name = self._tokens.expect("default_name", what="the name of a setting").text
        if off:
            return Setting(name, "off")
        for operator in _OPERATORS:
            if self._tokens.accept(operator):
                return Setting(name, operator, self._tokens.expect("word", what="a value").text)
        return Setting(name, "on")

    def _aliases(self, kind: AliasKind) -> tuple[Alias, ...]:
        self._tokens.next()
        self._defined.append(self._alias(kind))
        while self._tokens.accept(":"):
            self._defined.append(self._alias(kind))
        self._tokens.expect("newline", what="`:` or the end of the line")
        return tuple(self._defined)

    def _alias(self, kind: AliasKind) -> Alias:
        name = self._tokens.expect("alias", what="the name of an alias, in capitals").text
        self._tokens.expect("=", what="`=` after the alias")
        members: tuple[Member, ...] = ()
        commands: tuple[Command, ...] = ()
        if kind == "Cmnd_Alias":
            commands = self._lists.commands()
        else:
            members = self._lists.hosts() if kind == "Host_Alias" else self._lists.users()
        return Alias(kind, name, self._tokens.peek().line, members, commands)


def is_unfinished(text: str) -> bool:
    """Return whether a file ends inside a line that was to be continued. A comment is not continued."""
    tail = text[text.rfind("\n", 0, -1) + 1 :].partition("\0")[0]
    return tail.rstrip(" \t\r\n").endswith("\\") and Parser(text).is_unfinished()
