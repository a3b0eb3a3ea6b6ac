"""What sudo's own programs say of sudoers text, and the same said by us, in one form."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import subprocess
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from collectors.access.sudoers.grammar import Parser
from collectors.access.sudoers.model import Alias, Command, CommandSpec, Defaults, Member, Setting, Statement, UserSpec
from collectors.access.sudoers.rules import OPTIONS
from tests.conftest import program

# Debian 12 builds sudo with SELinux and without AppArmor; privileges are of Solaris.
KNOWN = frozenset(OPTIONS) - {"APPARMOR_PROFILE", "PRIVS", "LIMITPRIVS"}

Plain = Any
# cvtsudoers leaves the comma out behind a list of settings none of which it knows
_NO_COMMA = re.compile(r'("Defaults": \[\s*\])(?=\s*")')
# sudo shows the faulty text below its message; that text may hold colons and numbers of its own
_MESSAGE = re.compile(r"^(?:stdin|/[^\n:]*):(\d+):\d+: (.*)$", re.MULTILINE)
_OF_SETTINGS = re.compile(r"defaults entry|no value specified|for option|does not take a value|invalid operator")
# cvtsudoers and visudo compile each regular expression and refuse the line of a bad one (sudoers_strict); sudo
# takes the line, and the command then matches nothing. What regerror(3) of glibc says, and sudo of its own:
_OF_REGEX = re.compile(r"^(?:Invalid |Unmatched |Trailing backslash|Premature end of|[Rr]egular expression too)")
# The same strictness; the line is read on all the same.
_STRICT = re.compile(r"^sudoedit should not be specified with a path")
_NUMBER = re.compile(r"(?:%:?)?#(-?[0-9]+)")
# Two places where cvtsudoers 1.9.13 writes a pair into an array.
_BARE_PAIR = re.compile(r'^(\s*)("(?:runchroot|runcwd|role|type)": .*?)(,?)$', re.MULTILINE)


Message = tuple[int, str]
"""The line that cvtsudoers names, and what it says of it."""


def converted(text: str) -> tuple[Plain, list[int]]:
    """Return (what cvtsudoers makes of a text, or None, and the lines that it finds fault with)."""
    plain, messages = _asked("-", text.encode("utf-8", "surrogateescape"))
    return plain, _lines(messages)


def _run(name: str, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    path = program(name)
    assert path
    environment = {"LC_ALL": "C", "TZ": "UTC"}
    return subprocess.run([path, *arguments], input=data, capture_output=True, check=False, env=environment, timeout=30)


def checked(path: str) -> tuple[bool, int | None]:
    """Return (whether visudo takes a file, the first line that it finds fault with)."""
    done = _run("visudo", "-c", "-f", path)
    said = _MESSAGE.findall(done.stderr.decode("utf-8", "replace"))
    faults = [int(line) for line, message in said if "referenced but not defined" not in message]
    return done.returncode == 0, min(faults, default=None)


def refusal(path: str) -> str:
    """Return the first line that cvtsudoers says of a file that it refuses."""
    done = _run("cvtsudoers", "-c", "/dev/null", "-f", "json", path)
    assert done.returncode != 0
    return done.stderr.decode("utf-8", "replace").split("\n")[0]


def converted_file(path: str) -> tuple[Plain, list[int]]:
    """Return what `converted` does, of a file and those that it includes."""
    plain, messages = _asked(path)
    return plain, _lines(messages)


def _lines(messages: list[Message]) -> list[int]:
    return [line for line, _ in messages]


def _asked(path: str, data: bytes = b"") -> tuple[Plain, list[Message]]:
    done = _run("cvtsudoers", "-c", "/dev/null", "-f", "json", path, data=data)
    said = done.stderr.decode("utf-8", "replace")
    messages = [(int(line), message) for line, message in _MESSAGE.findall(said)]
    messages = [each for each in messages if not _OF_SETTINGS.search(each[1]) and not _STRICT.search(each[1])]
    if done.returncode != 0:
        return None, messages
    printed = _BARE_PAIR.sub(r"\1{ \2 }\3", done.stdout.decode("utf-8", "surrogateescape"))
    printed = _NO_COMMA.sub(r"\1,", printed)
    found = json.loads(printed or "{}")  # of nothing it prints nothing
    return {
        "defaults": [_their_defaults(each) for each in found.get("Defaults", [])],
        "aliases": {kind: found.get(name, {}) for kind, name in _ALIASES.items()},
        "rules": [rule for each in found.get("User_Specs", []) for rule in _their_rules(each)],
    }, messages


_ALIASES = {
    "User_Alias": "User_Aliases",
    "Runas_Alias": "Runas_Aliases",
    "Host_Alias": "Host_Aliases",
    "Cmnd_Alias": "Command_Aliases",
}


def _their_defaults(entry: Plain) -> Plain:
    return entry.get("Binding", []), [_their_setting(each) for each in entry["Options"]]


def _their_setting(option: Plain) -> Plain:
    operators = {"list_add": "+=", "list_remove": "-=", "list_assign": "="}
    operator = operators[option.get("operation", "list_assign")]
    ((name, value),) = ((key, value) for key, value in option.items() if key != "operation")
    if isinstance(value, bool):
        return name, value, None
    return name, operator, " ".join((" ".join(value) if isinstance(value, list) else str(value)).split())


def _their_rules(entry: Plain) -> Iterator[Plain]:
    for spec in entry["Cmnd_Specs"]:
        said = {key: value for each in spec.get("Options", []) for key, value in each.items()}
        said |= {key: value for each in spec.get("SELinux_Spec", []) for key, value in each.items()}
        # Commands are merged as if ALL did not imply SETENV for itself alone.
        beside_all = any(each.get("command") == "ALL" and "negated" not in each for each in spec["Commands"])
        if beside_all:
            said.pop("setenv", None)
        for command in spec["Commands"]:
            yield {
                "users": entry["User_List"],
                "hosts": entry["Host_List"],
                "runas": (spec.get("runasusers"), spec.get("runasgroups")),
                "said": said,
                "command": command,
                "beside_all": beside_all,
            }


def parsed(text: str) -> tuple[Plain, list[int]]:
    """Return what `converted` does, by our parser."""
    aliases: dict[str, dict[str, Plain]] = {kind: {} for kind in _ALIASES}
    found: dict[str, Plain] = {"defaults": [], "aliases": aliases, "rules": []}
    faults: list[int] = []
    statements = list(Parser(text, options=KNOWN).statements())
    for statement, after in zip_longest(statements, statements[1:]):
        content = statement.content
        taken = _define(content, aliases) if isinstance(content, tuple) else None
        faults += _named(statement, taken, after)
        if isinstance(content, UserSpec):
            found["rules"] += list(_our_rules(content))
        elif isinstance(content, Defaults):
            found["defaults"].append(_our_defaults(content))
    return found, sorted(faults)


def _named(statement: Statement, taken: Alias | None, after: Statement | None) -> list[int]:
    """Return the lines that cvtsudoers names for the faults of a statement."""
    if taken is not None:  # it passes over the rest of the line, and over what is wrong with it
        lines = [taken.line]
        at_end = isinstance(statement.content, tuple) and taken is statement.content[-1] and not statement.problems
    else:
        lines = [each.line for each in statement.problems]
        at_end = bool(lines) and statement.problems[-1].found == "the end of the line"
    if at_end and after is not None and after.line == lines[-1]:
        lines[-1] -= 1  # the line ended at a `#` alone; sudo takes away the line end that it has not counted
    return lines


def _define(content: tuple[Alias, ...], aliases: dict[str, dict[str, Plain]]) -> Alias | None:
    """Add aliases up to the first whose name is taken, and return that one."""
    for alias in content:
        if alias.name in aliases[alias.kind]:
            return alias
        aliases[alias.kind][alias.name] = _our_alias(alias)
    return None


def _our_alias(alias: Alias) -> Plain:
    if alias.kind == "Cmnd_Alias":
        return [_our_command(each) for each in alias.commands]
    names = {"User_Alias": "user", "Runas_Alias": "runas", "Host_Alias": "host"}
    return [_our_member(each, names[alias.kind]) for each in alias.members]


def _our_member(member: Member, of: str) -> Plain:
    return {_our_key(member, of): _our_value(member)} | ({"negated": True} if member.negated else {})


def _our_key(member: Member, of: str) -> str:
    number = _id(member.name) is not None
    if member.kind == "alias":
        return {"user": "useralias", "runas": "runasalias", "group": "runasalias", "host": "hostalias"}[of]
    if member.kind == "group":
        return ("nonunixg" if member.name.startswith("%:") else "userg") + ("id" if number else "roup")
    if member.kind in ("netgroup", "network"):
        return {"netgroup": "netgroup", "network": "networkaddr"}[member.kind]
    if of in ("host", "group"):
        return {"host": "hostname", "group": "usergroup"}[of]
    return "userid" if number else "username"


def _our_value(member: Member) -> str | int:
    name = member.name
    if member.kind in ("group", "netgroup"):
        name = name[1:].removeprefix(":") if member.kind == "group" else name[1:]
    number = _id(name) if member.kind in ("word", "group") else None
    return name if number is None else number


def _id(name: str) -> int | None:
    """Return the id that cvtsudoers shows for #id, %#id or %:#id: 32 bits, of which all set are none (sudo_strtoid)."""
    found = _NUMBER.fullmatch(name)
    number = int(found[1]) if found else -1
    return number % 2**32 if -(2**31) <= number < 2**32 - 1 and number != -1 else None


def _our_command(command: Command) -> Plain:
    if command.kind == "alias":
        said: dict[str, Plain] = {"cmndalias": command.path}
    else:
        said = {"command": " ".join(each for each in (command.path, command.arguments) if each is not None)}
    said |= dict(each.split(":") for each in command.digests)
    return said | ({"negated": True} if command.negated else {})


_TAGS = {"PASSWD": "authenticate", "EXEC": "noexec", "MAIL": "send_mail", "FOLLOW": "sudoedit_follow"}


def _our_rules(content: UserSpec) -> Iterator[Plain]:
    users = [_our_member(each, "user") for each in content.users]
    for privilege in content.privileges:
        hosts = [_our_member(each, "host") for each in privilege.hosts]
        for spec in privilege.commands:
            yield {
                "users": users,
                "hosts": hosts,
                "runas": _our_runas(spec),
                "said": dict(_our_said(spec)),
                "command": _our_command(spec.command),
            }


def _our_runas(spec: CommandSpec) -> Plain:
    if spec.runas is None:
        return None, None
    users = [_our_member(each, "runas") for each in spec.runas.users]
    groups = [_our_member(each, "group") for each in spec.runas.groups]
    if not users and not groups:
        return [{"username": ""}], None
    return users or None, groups or None


def _our_said(spec: CommandSpec) -> Iterator[tuple[str, Plain]]:
    for tag, on in spec.tags.items():
        yield _TAGS.get(tag, tag.lower()), on is not (tag == "EXEC")
    for name, value in spec.options.items():
        if name == "TIMEOUT":
            if seconds := _seconds(value):  # cvtsudoers does not show a time-out of nothing
                yield "command_timeout", seconds
        elif name in ("ROLE", "TYPE"):
            if {"ROLE", "TYPE"} <= spec.options.keys():
                yield name.lower(), value
        elif name in ("NOTBEFORE", "NOTAFTER"):
            yield name.lower(), _utc(value)
        else:
            yield {"CWD": "runcwd", "CHROOT": "runchroot"}.get(name, name.lower()), value


def _seconds(text: str) -> int:
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1, "": 1}
    return sum(int(number) * units[unit.lower()] for number, unit in re.findall(r"(\d+)([dhmsDHMS]?)", text))


def _utc(text: str) -> str:
    digits, sign, zone = [*re.split("([-+Z])", text), "", ""][:3]
    moment = dt.datetime.strptime((digits.partition(".")[0] + "0000")[:14] + "+0000", "%Y%m%d%H%M%S%z")
    shift = dt.timedelta(hours=int(zone[:2] or 0), minutes=int(zone[2:] or 0))
    return (moment + (shift if sign == "-" else -shift)).strftime("%Y%m%d%H%M%SZ")


def _our_defaults(content: Defaults) -> Plain:
    of = {"Defaults:": "user", "Defaults>": "runas", "Defaults@": "host"}.get(content.scope, "")
    bound = [_our_command(each) for each in content.commands] or [_our_member(each, of) for each in content.members]
    return bound, [_our_setting(each) for each in content.settings]


def _our_setting(setting: Setting) -> Plain:
    if setting.operator in ("on", "off"):
        return setting.name, setting.operator == "on", None
    return setting.name, setting.operator, " ".join((setting.value or "").split())


def differences(text: str, *parts: str) -> list[str]:
    """Return where cvtsudoers and we disagree about a text, or about parts of it; nothing if they agree."""
    theirs, messages = _asked("-", text.encode("utf-8", "surrogateescape"))
    ours, our_lines = parsed(text)
    end = _end_of_comparison(text, messages)
    their_faults, our_faults = (sorted({each for each in of if each < end}) for of in (_lines(messages), our_lines))
    if their_faults != our_faults:
        return [f"faults: theirs {their_faults}, ours {our_faults}"]
    if theirs is None:
        return []
    _reconcile(theirs["rules"], ours["rules"])
    return [
        f"{part}: theirs {theirs[part]}, ours {ours[part]}" for part in parts or theirs if theirs[part] != ours[part]
    ]


def _end_of_comparison(text: str, messages: list[Message]) -> float:
    """Return the line from which on cvtsudoers reads another text, as it refuses a regular expression there."""
    strict = [line for line, message in messages if _OF_REGEX.search(message)]
    if not strict:
        return math.inf
    return max(each.line for each in Parser(text, options=KNOWN).statements() if each.line <= strict[0])


def _reconcile(theirs: list[Plain], ours: list[Plain]) -> None:
    """Take away what cvtsudoers does not say exactly: SETENV of commands that it merges with ALL."""
    for their, our in zip(theirs, ours, strict=False):
        if their.pop("beside_all"):
            our["said"].pop("setenv", None)
