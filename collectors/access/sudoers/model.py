"""What sudoers text says, as sudo's parser keeps it: sudoers(5), nothing expanded and nothing judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Scope = Literal["Defaults", "Defaults@", "Defaults:", "Defaults>", "Defaults!"]
AliasKind = Literal["User_Alias", "Runas_Alias", "Host_Alias", "Cmnd_Alias"]


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a list of users, groups or hosts. `name` keeps the sign that sudo reads: #, %, %:, +."""

    kind: Literal["all", "alias", "group", "netgroup", "network", "word"]
    name: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `arguments`: None if any are allowed, `""` (two quotes) if none are."""

    kind: Literal["all", "alias", "command"]
    path: str
    arguments: str | None = None
    negated: bool = False
    digests: tuple[str, ...] = ()
    """Each as `sha256:` and the digits, in hexadecimal or base64 as written; any one of them is enough."""


@dataclass(frozen=True, slots=True)
class Runas:
    """A Runas_Spec. No users at all means: as oneself, and perhaps with one of the groups."""

    users: tuple[Member, ...] = ()
    groups: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A command with what holds for it, inherited from the commands before it where sudo does so."""

    command: Command
    runas: Runas | None = None
    options: dict[str, str] = field(default_factory=dict)
    tags: dict[str, bool] = field(default_factory=dict)
    """By the tag's name without NO: NOPASSWD is PASSWD, False."""


@dataclass(frozen=True, slots=True)
class Privilege:
    """On which hosts which commands."""

    hosts: tuple[Member, ...]
    commands: tuple[CommandSpec, ...]


@dataclass(frozen=True, slots=True)
class UserSpec:
    """Who may do what: one line of rules."""

    users: tuple[Member, ...]
    privileges: tuple[Privilege, ...]


@dataclass(frozen=True, slots=True)
class Alias:
    """The definition of one alias; a Cmnd_Alias has commands, the others members."""

    kind: AliasKind
    name: str
    line: int
    """The line on which the definition ends."""
    members: tuple[Member, ...] = ()
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a Defaults line."""

    name: str
    operator: Literal["on", "off", "=", "+=", "-="]
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Defaults:
    """One Defaults line, and whom it is bound to: members, or commands for `Defaults!`."""

    scope: Scope
    settings: tuple[Setting, ...]
    members: tuple[Member, ...] = ()
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True, slots=True)
class Include:
    """Another file, or every file of a folder, that is read at this place."""

    path: str
    folder: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """Why sudo reports a line. It quotes nothing of it."""

    line: int
    expected: str
    found: str


Content = UserSpec | Defaults | Include | tuple[Alias, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One logical line. With problems, `content` is what sudo keeps of it all the same, or None.

    Two begin on the same physical line where sudo ends one at a `#`: in a last line without its end.
    """

    line: int
    content: Content | None
    problems: tuple[Problem, ...] = ()
    """One for each physical line that sudo reports; after a `:` between rules it reads on, and may find more."""
