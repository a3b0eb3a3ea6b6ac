"""The columns of the rows that one line of sudoers gives; arguments and values pass through the redaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from collectors.access.sudoers.model import Alias, Command, CommandSpec, Defaults, Include, Member, Setting, UserSpec
from collectors.access.sudoers.notation import shown_member
from collectors.access.sudoers.walk import Line
from collectors.contract import shown
from collectors.reading.redaction import redacted

Columns = dict[str, Any]
"""Some columns of a row, by their names."""

_ALIAS_MEMBERS: dict[str, str] = {"User_Alias": "users", "Runas_Alias": "runas_users", "Host_Alias": "hosts"}
_BOUND: dict[str, str] = {"Defaults:": "users", "Defaults>": "runas_users", "Defaults@": "hosts"}


def columns_of(line: Line, defined: set[tuple[str, str]]) -> Iterator[Columns]:
    """Yield the columns of each row of a line; `defined` holds (kind, name) of every alias so far, and grows."""
    content = line.statement.content
    if isinstance(content, UserSpec):
        yield from _rules(content)
    elif isinstance(content, Defaults):
        yield from _settings(content)
    elif isinstance(content, Include):
        yield _include(line.target)
    elif content is not None:
        yield from _aliases(content, defined)
    if line.statement.problems:
        yield {"kind": "unparsed", "unparsed": True, "ignored": "syntax_error"}


def _rules(content: UserSpec) -> Iterator[Columns]:
    users = _shown(content.users)
    for privilege in content.privileges:
        who = {"kind": "rule", "users": users, "hosts": _shown(privilege.hosts)}
        before: CommandSpec | None = None
        runas: Columns = {}
        for spec in privilege.commands:
            if before is None or spec.runas is not before.runas:  # most inherit: show a long list once
                runas = _runas(spec)
            before = spec
            yield who | runas | _command(spec.command) | _tags_and_options(spec)


def _runas(spec: CommandSpec) -> Columns:
    if spec.runas is None:
        return {}
    return {"runas_users": _shown(spec.runas.users), "runas_groups": _shown(spec.runas.groups)}


def _tags_and_options(spec: CommandSpec) -> Columns:
    return {
        "tags": tuple(sorted(name if on else f"NO{name}" for name, on in spec.tags.items())),
        "options": tuple(sorted(f"{name}={_text(redacted(value))}" for name, value in spec.options.items())),
    }


def _command(command: Command) -> Columns:
    whole = command.path if command.arguments is None else f"{command.path} {command.arguments}"
    path, arguments = redacted(command.path), command.arguments
    if arguments == '""':
        arguments = ""
    elif arguments is not None:
        # With the program before them, since some options are secret with some programs only.
        clean = redacted(whole)
        kept = clean.startswith(f"{command.path} ")
        arguments = clean[len(command.path) + 1 :] if kept else redacted(arguments)
    return {
        "command": _text(path),
        "arguments": None if arguments is None else _text(arguments),
        "negated": command.negated,
        "digests": command.digests,
    }


def _settings(content: Defaults) -> Iterator[Columns]:
    bound: Columns = {"kind": "defaults"}
    if content.scope in _BOUND:
        bound[_BOUND[content.scope]] = _shown(content.members)
    for setting in content.settings:
        for command in content.commands or (None,):
            yield bound | _setting(setting) | (_command(command) if command else {})


def _setting(setting: Setting) -> Columns:
    value = None if setting.value is None else _text(redacted(setting.value))
    return {"setting": setting.name, "operator": setting.operator, "value": value}


def _include(target: str | None) -> Columns:
    if target is None:
        return {"kind": "include", "unparsed": True}
    path, path_b64 = shown(target)
    return {"kind": "include", "target": path, "target_b64": path_b64}


def _aliases(content: tuple[Alias, ...], defined: set[tuple[str, str]]) -> Iterator[Columns]:
    lost = False  # after a name that is taken sudo leaves out the rest of the line
    for alias in content:
        lost = lost or (alias.kind, alias.name) in defined
        columns: Columns = {"kind": alias.kind.lower(), "alias": alias.name}
        if lost:
            columns["ignored"] = "defined_before"
        else:
            defined.add((alias.kind, alias.name))
        if alias.kind in _ALIAS_MEMBERS:
            yield columns | {_ALIAS_MEMBERS[alias.kind]: _shown(alias.members)}
        for command in alias.commands:
            yield columns | _command(command)


def _shown(members: tuple[Member, ...]) -> tuple[str, ...]:
    return tuple(_text(shown_member(member)) for member in members)


def _text(text: str) -> str:
    return shown(text)[0]
