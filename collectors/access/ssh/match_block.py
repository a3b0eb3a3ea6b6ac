"""The criteria of a Match line, and whom they may concern; sshd_config(5), Match."""

from __future__ import annotations

import os
from typing import Literal

import msgspec

from collectors.access.ssh.wildcards import WILDCARDS, fits
from collectors.contract import MalformedError

Verdict = Literal["yes", "no", "perhaps"]

ALONE = frozenset({"all", "invalid-user"})
ONLY_IN_SSH = frozenset({"canonical", "final"})
WITH_ARGUMENT = frozenset({"user", "group", "host", "localaddress", "localport", "rdomain", "address", "version"})


class Criterion(msgspec.Struct, frozen=True):
    """One condition; `all` and `invalid-user` have no argument."""

    name: str
    argument: str = ""

    def __str__(self) -> str:
        argument = f'"{self.argument}"' if " " in self.argument else self.argument
        return f"{self.name} {argument}".rstrip()


class Person(msgspec.Struct, frozen=True):
    """Whom a Match block may concern: a user and the groups known to hold him."""

    name: str
    groups: frozenset[str]


Scope = tuple[Criterion, ...]
"""Conditions that all hold; none is the global section."""


def parse_match(arguments: tuple[str, ...]) -> Scope:
    """Return the criteria of one Match line.

    A criterion that sshd does not know is kept as text (`exec` is ssh's, and nothing is run for it); ask
    `unknown_criteria`.
    Raises: MalformedError on none, on one without its argument, and if `all` does not stand alone.
    """
    criteria: list[Criterion] = []
    words = iter(arguments)
    for word in words:
        name, equals, argument = word.partition("=")
        name = name.lower()
        alone = name in ALONE | ONLY_IN_SSH
        if not alone and not equals:
            argument = next(words, "")
        if (alone and equals) or (not alone and not argument):
            raise MalformedError("an argument to each Match criterion that takes one", "another form")
        criteria.append(Criterion(name, argument))
    if not criteria or (len(criteria) > 1 and Criterion("all") in criteria):
        raise MalformedError("Match criteria, or all on its own", "something else")
    return tuple(criteria)


def unknown_criteria(scope: Scope) -> bool:
    """Return whether sshd would refuse to start over a criterion of this scope."""
    return any(each.name not in ALONE | WITH_ARGUMENT for each in scope)


def within(outer: Scope, inner: Scope) -> Scope:
    """Return the conditions of a Match block in a file that is included from another one."""
    both = [each for each in (*outer, *inner) if each.name != "all"]
    return tuple(dict.fromkeys(both)) or inner or outer


def scope_text(scope: Scope) -> str:
    """Return a scope as one could write it after Match; empty for the global section."""
    return " ".join(str(each) for each in scope)


def concerns(scope: Scope, person: Person, local_groups: frozenset[str]) -> Verdict:
    """Return whether a scope holds for a person: `perhaps` if it also depends on the connection.

    A group pattern that fits no local group may mean a group of a directory server.
    """
    verdicts = {_verdict(each, person, local_groups) for each in scope}
    if "no" in verdicts:
        return "no"
    return "perhaps" if "perhaps" in verdicts else "yes"


def _verdict(criterion: Criterion, person: Person, local_groups: frozenset[str]) -> Verdict:
    if criterion.name == "all":
        return "yes"
    if criterion.name == "invalid-user":
        return "no"
    if criterion.name == "user":
        return _pattern_list(criterion.argument, frozenset({person.name}))[0]
    if criterion.name == "group":
        verdict, rest = _pattern_list(criterion.argument, person.groups)
        elsewhere = any(not any(matches(each, name) for name in local_groups) for each in rest)
        return "perhaps" if verdict == "no" and elsewhere else verdict
    return "perhaps"


def _pattern_list(patterns: str, names: frozenset[str]) -> tuple[Verdict, list[str]]:
    """Return whether a list fits the names and no negated pattern does, and which patterns might yet fit.

    Source: ssh_config(5), PATTERNS.
    """
    listed = patterns.split(",")
    if any(matches(each[1:], name) for each in listed if each.startswith("!") for name in names):
        return "no", []
    wanted = [each for each in listed if not each.startswith("!")]
    if any(matches(each, name) for each in wanted for name in names):
        return "yes", []
    return "no", wanted


def matches(pattern: str, name: str) -> bool:
    """Return whether a pattern of `*`, `?` and letters fits a whole name; `?` is one byte (match_pattern, match.c)."""
    tokens = [WILDCARDS.get(each, frozenset({each})) for each in os.fsencode(pattern)]
    return fits(tokens, os.fsencode(name))
