"""Lists of sudo's grammar: users, hosts and groups; commands, and what stands before each and is inherited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from collectors.access.sudoers.model import Command, CommandSpec, Member, Runas
from collectors.access.sudoers.spans import is_generalized_time, is_timeout
from collectors.access.sudoers.stream import TokenStream
from collectors.access.sudoers.tokens import Token

_PATH_MAX = 4096  # limits.h of Linux
_INHERITED = (
    ("CWD",),
    ("CHROOT",),
    ("ROLE", "TYPE"),
    ("PRIVS", "LIMITPRIVS"),
    ("NOTBEFORE",),
    ("NOTAFTER",),
    ("TIMEOUT",),
)
"""Options that the next command inherits, those together of which none is given; APPARMOR_PROFILE is not."""

_Entry = TypeVar("_Entry")
_MemberKind = Literal["all", "alias", "group", "netgroup", "network", "word"]


class ListParser:
    """The parts of a line that are lists."""

    def __init__(self, tokens: TokenStream) -> None:
        self._tokens = tokens

    def users(self) -> tuple[Member, ...]:
        """Return a User_List, which a Runas_List is too."""
        return self._members("alias", "all", "netgroup", "group", "word", what="a user")

    def hosts(self) -> tuple[Member, ...]:
        """Return a Host_List."""
        return self._members("alias", "all", "netgroup", "network", "word", what="a host")

    def commands(self) -> tuple[Command, ...]:
        """Return a Cmnd_List."""
        return self._list(self._command)

    def specs(self) -> tuple[CommandSpec, ...]:
        """Return a Cmnd_Spec_List; each command has what it inherits from the one before it."""
        found: list[CommandSpec] = []

        def one() -> CommandSpec:
            found.append(_inheriting(found[-1] if found else None, self._spec()))
            return found[-1]

        return self._list(one)

    def _list(self, one: Callable[[], _Entry]) -> tuple[_Entry, ...]:
        entries = [one()]
        while self._tokens.accept(","):
            entries.append(one())
        return tuple(entries)

    def _members(self, *kinds: _MemberKind, what: str) -> tuple[Member, ...]:
        def one() -> Member:
            negated = self._tokens.accept("!") is not None
            kind = self._tokens.peek().kind
            for allowed in kinds:
                if kind == allowed:
                    return Member(allowed, self._tokens.next().text, negated)
            raise self._tokens.unexpected(what)

        return self._list(one)

    def _spec(self) -> CommandSpec:
        runas = self._runas() if self._tokens.accept("(") else None
        options: dict[str, str] = {}
        while token := self._tokens.accept("option"):
            self._tokens.expect("=", what="`=` after an option")
            options[token.text] = self._option(token.text)
        tags: dict[str, bool] = {}
        while token := self._tokens.accept("tag"):
            tags[token.text.removeprefix("NO")] = not token.text.startswith("NO")
        return CommandSpec(self._command(), runas, options, tags)

    def _option(self, name: str) -> str:
        value = self._tokens.expect("word", what="the value of an option").text
        if name in ("CWD", "CHROOT") and (
            (value[:1] not in ("/", "~") and value != "*") or len(value.encode(errors="surrogateescape")) >= _PATH_MAX
        ):
            raise self._tokens.refusal(f"a path for {name} that begins with `/` or `~`, or `*`", "another value")
        if name in ("NOTBEFORE", "NOTAFTER") and not is_generalized_time(value):
            raise self._tokens.refusal(f"a generalized time for {name}", "another value")
        if name == "TIMEOUT" and not is_timeout(value):
            raise self._tokens.refusal("a time-out as 1d2h3m4s", "another value")
        return value

    def _runas(self) -> Runas:
        users: tuple[Member, ...] = ()
        groups: tuple[Member, ...] = ()
        if self._tokens.peek().kind not in (":", ")"):
            users = self.users()
        if self._tokens.accept(":") and (users or self._tokens.peek().kind != ")"):
            groups = self._members("alias", "all", "word", what="a group")
        self._tokens.expect(")", what="`)` after whom to run as")
        return Runas(users, groups)

    def _command(self) -> Command:
        digests = self._list(self._digest) if self._tokens.peek().kind == "sha" else ()
        negated = self._tokens.accept("!") is not None
        token = self._tokens.expect("all", "alias", "command", "word", what="a command")
        if token.kind == "word" and token.text != "list":
            raise self._tokens.refusal("the full path of a command", "a word")
        if digests and token.kind == "alias":
            raise self._tokens.refusal("the path of a command after a digest", "an alias")
        if len(token.text.encode(errors="surrogateescape")) >= _PATH_MAX:
            raise self._tokens.refusal(f"a path shorter than {_PATH_MAX} bytes", "a longer one")
        return _command(token, digests, negated=negated)

    def _digest(self) -> str:
        name = self._tokens.expect("sha", what="a digest").text
        self._tokens.expect(":", what="`:` after the name of a digest")
        return f"{name}:{self._tokens.expect('digest', what=f'a digest of {name}').text}"


def _command(token: Token, digests: tuple[str, ...], *, negated: bool) -> Command:
    if token.kind == "all":
        return Command("all", "ALL", None, negated, digests)
    return Command("alias" if token.kind == "alias" else "command", token.text, token.arguments, negated, digests)


def _inheriting(before: CommandSpec | None, spec: CommandSpec) -> CommandSpec:
    """Return a command with what it does not say itself taken from the one before (gram.y, cmndspeclist)."""
    if before is None:
        return spec
    options = dict(spec.options)
    for together in _INHERITED:
        if not any(name in spec.options for name in together):
            options |= {name: before.options[name] for name in together if name in before.options}
    tags = before.tags | spec.tags
    if spec.command.kind == "all" and not spec.command.negated and "SETENV" not in spec.tags:
        # ALL implies SETENV: that is stronger than what is inherited, and the next command does not inherit it.
        tags.pop("SETENV", None)
    return CommandSpec(spec.command, spec.runas or before.runas, options, tags)
