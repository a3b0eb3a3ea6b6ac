"""What sudoers text says, as sudo's parser keeps it: sudoers(5), nothing expanded and nothing judged."""

from __future__ import annotations

from typing import Literal

import msgspec

Scope = Literal["Defaults", "Defaults@", "Defaults:", "Defaults>", "Defaults!"]
AliasKind = Literal["User_Alias", "Runas_Alias", "Host_Alias", "Cmnd_Alias"]


class Member(msgspec.Struct, frozen=True):
    """One entry of a list of users, groups or hosts. `name` keeps the sign that sudo reads: #, %, %:, +."""

    kind: Literal["all", "alias", "group", "netgroup", "network", "word"]
    name: str
    negated: bool = False


class Command(msgspec.Struct, frozen=True):
    """One command. `arguments`: None if any are allowed, `""` (two quotes) if none are."""

    kind: Literal["all", "alias", "command"]
    path: str
    arguments: str | None = None
    negated: bool = False
    digests: tuple[str, ...] = ()
    """Each as `sha256:` and the digits, in hexadecimal or base64 as written; any one of them is enough."""


class Runas(msgspec.Struct, frozen=True):
    """A Runas_Spec. No users at all means: as oneself, and perhaps with one of the groups."""

    users: tuple[Member, ...] = ()
    groups: tuple[Member, ...] = ()


class CommandSpec(msgspec.Struct, frozen=True):
    """A command with what holds for it, inherited from the commands before it where sudo does so."""

    command: Command
    runas: Runas | None = None
    options: dict[str, str] = {}
    tags: dict[str, bool] = {}
    """By the tag's name without NO: NOPASSWD is PASSWD, False."""


class Privilege(msgspec.Struct, frozen=True):
    """On which hosts which commands."""

    hosts: tuple[Member, ...]
    commands: tuple[CommandSpec, ...]


class UserSpec(msgspec.Struct, frozen=True):
    """Who may do what: one line of rules."""

    users: tuple[Member, ...]
    privileges: tuple[Privilege, ...]


class Alias(msgspec.Struct, frozen=True):
    """The definition of one alias; a Cmnd_Alias has commands, the others members."""

    kind: AliasKind
    name: str
    line: int
    """The line on which the definition ends."""
    members: tuple[Member, ...] = ()
    commands: tuple[Command, ...] = ()


class Setting(msgspec.Struct, frozen=True):
    """One setting of a Defaults line."""

    name: str
    operator: Literal["on", "off", "=", "+=", "-="]
    value: str | None = None


class Defaults(msgspec.Struct, frozen=True):
    """One Defaults line, and whom it is bound to: members, or commands for `Defaults!`."""

    scope: Scope
    settings: tuple[Setting, ...]
    members: tuple[Member, ...] = ()
    commands: tuple[Command, ...] = ()


class Include(msgspec.Struct, frozen=True):
    """Another file, or every file of a folder, that is read at this place."""

    path: str
    folder: bool


class Problem(msgspec.Struct, frozen=True):
    """Why sudo reports a line. It quotes nothing of it."""

    line: int
    expected: str
    found: str


Content = UserSpec | Defaults | Include | tuple[Alias, ...]


class Statement(msgspec.Struct, frozen=True):
    """One logical line. With problems, `content` is what sudo keeps of it all the same, or None.

    Two begin on the same physical line where sudo ends one at a `#`: in a last line without its end.
    """

    line: int
    content: Content | None
    problems: tuple[Problem, ...] = ()
    """One for each physical line that sudo reports; after a `:` between rules it reads on, and may find more."""
