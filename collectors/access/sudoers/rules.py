"""What may begin in each state of the tokenizer.

sudo's own tokenizer is made by flex from toke.l: of all rules of a state the longest match wins, and of equal
ones the first. These rules keep that meaning and that order, because what a line means, or whether it is
refused, hangs on them. A rule without states stands in every state that is not exclusive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import get_args

import msgspec

from collectors.access.sudoers import patterns
from collectors.access.sudoers.patterns import Matcher, expression
from collectors.access.sudoers.tokens import State

_INCLUSIVE: tuple[State, ...] = ("INITIAL", "GOTDEFS", "WANTDIGEST", "EXPECTPATH")
_EVERY: tuple[State, ...] = get_args(State)
_ANY = r"[\s\S]"

TAGS = (
    "NOPASSWD", "PASSWD", "NOEXEC", "EXEC", "INTERCEPT", "NOINTERCEPT", "SETENV", "NOSETENV", "LOG_OUTPUT",
    "NOLOG_OUTPUT", "LOG_INPUT", "NOLOG_INPUT", "MAIL", "NOMAIL", "FOLLOW", "NOFOLLOW",
)  # fmt: skip
OPTIONS = (
    "TIMEOUT", "NOTBEFORE", "NOTAFTER", "CWD", "CHROOT", "ROLE", "TYPE", "APPARMOR_PROFILE", "PRIVS", "LIMITPRIVS",
)  # fmt: skip


class Rule(msgspec.Struct, frozen=True):
    """One rule; `first` is a class of characters that every match of it begins with."""

    name: str
    match: Matcher
    first: str
    states: tuple[State, ...] = _INCLUSIVE
    at_line_start: bool = False


def _words(words: Iterable[str], after: str = "") -> Matcher:
    return expression(f"(?:{'|'.join(sorted(words, key=len, reverse=True))}){after}")


_NEWLINE = r"\r?\n"
_COMMENT = rf"#(?:-[^\r\n0-9][^\n]*|[^\r\n0-9-][^\n]*)?(?:{_NEWLINE})?"
_ALIAS = expression(r"[ \t]*(?:Host|Cmnd|Cmd|User|Runas)_Alias")
_DEFAULTS = patterns.longest(patterns.WORD, patterns.ID)
_DEFAULTS_HEAD = re.compile(r'[ \t]*Defaults(?:[:@>!][ \t]*!*"?)?')


def _defaults(text: str, at: int) -> int:
    """Match Defaults with its scope and the first word of it; the word counts for the length only."""
    head = _DEFAULTS_HEAD.match(text, at)
    if head is None:
        return -1
    bare = head.group().index("Defaults") + len("Defaults")
    return max(_DEFAULTS(text, head.end()), at + bare) if head.end() > at + bare else head.end()


RULES: tuple[Rule, ...] = (
    Rule("comma", expression(r"[ \t]*,[ \t]*"), "[ \t,]", ("GOTDEFS",)),
    Rule("to_settings", expression(r"[ \t]+"), "[ \t]", ("GOTDEFS",)),
    Rule("setting_name", expression(r"[a-z_]+"), "[a-z_]", ("STARTDEFS",)),
    Rule("next_setting", expression(","), ",", ("INDEFS",)),
    Rule("punctuation", expression(r"\+=|-=|="), "[-+=]", ("INDEFS",)),
    Rule("string", expression('"'), '"', ("INDEFS",)),
    Rule("word", patterns.setting, _ANY, ("INDEFS",)),
    Rule("string_continued", expression(rf"\\[ \t]*{_NEWLINE}[ \t]*"), r"\\", ("INSTR",)),
    Rule("string_end", expression('"'), '"', ("INSTR",)),
    Rule("string_text", expression(r"\\"), r"\\", ("INSTR",)),
    Rule("string_text", patterns.STRING_BODY, _ANY, ("INSTR",)),
    Rule("escaped_glob", expression(r"\\[*?\[\]!^]"), r"\\", ("GOTCMND",)),
    Rule("escaped_special", expression(r"\\[:\\,= \t#]"), r"\\", ("GOTCMND",)),
    Rule("command_end", expression(r"[#:,=\r\n]"), "[#:,=\r\n]", ("GOTCMND",)),
    Rule("argument", expression(r"[^#\\:, \t\r\n]+"), _ANY, ("GOTCMND",)),
    Rule("regex_text", expression(r"\\[^\r\n]"), r"\\", ("GOTREGEX",)),
    Rule("regex_broken", expression(r"[#\r\n]"), "[#\r\n]", ("GOTREGEX",)),
    Rule("regex_end", expression(r"\$"), r"\$", ("GOTREGEX",)),
    Rule("regex_text", expression(r"[^#\\\r\n$]+"), _ANY, ("GOTREGEX",)),
    Rule("digest", expression(r"[0-9A-Fa-f]+"), "[0-9A-Fa-f]", ("WANTDIGEST",)),
    Rule("digest", expression(r"[A-Za-z0-9+/=]+"), "[A-Za-z0-9+/=]", ("WANTDIGEST",)),
    Rule("include", expression(r"@include(?:dir)?"), "@", ("INITIAL",)),
    Rule("include", expression(r"#include(?:dir)?[ \t]+[^\n]*\n?"), "#", ("INITIAL",), at_line_start=True),
    Rule("defaults", _defaults, "[ \tD]", ("INITIAL",), at_line_start=True),
    Rule("alias_kind", _ALIAS, "[ \tHCUR]", ("INITIAL",), at_line_start=True),
    Rule("tag", _words(TAGS, r"[ \t]*:"), "[EFILMNPS]"),
    Rule("empty_name", expression(r"\+|%:?"), "[+%]", ("INITIAL", "GOTDEFS")),
    Rule("netgroup", patterns.netgroup, r"\+"),
    Rule("group", patterns.group, "%"),
    Rule("network", patterns.ipv4, "[0-9]"),
    Rule("network6", patterns.ipv6, "[0-9A-Fa-f:]"),
    Rule("all", expression("ALL"), "A"),
    Rule("option", _words(OPTIONS), "[TNCRAPL]", ("INITIAL",)),
    Rule("alias", expression(r"[A-Z][A-Z0-9_]*"), "[A-Z]"),
    Rule("bare_command", patterns.PATH, "/", ("GOTDEFS",)),
    Rule("bare_command", expression("sudoedit"), "s", ("GOTDEFS",)),
    Rule("sha", expression("sha(?:224|256|384|512)"), "s"),
    Rule("command", expression("sudoedit"), "s"),
    Rule("expected_path", patterns.longest(patterns.PATH, patterns.WORD), _ANY, ("EXPECTPATH",)),
    Rule("command", patterns.PATH, "/"),
    Rule("string", expression('"'), '"', ("INITIAL", "GOTDEFS")),
    Rule("word", patterns.ID, "#", ("INITIAL", "GOTDEFS")),
    Rule("word", patterns.WORD, r"[^#>!=:,() \t\r\n\"]", ("INITIAL", "GOTDEFS")),
    Rule("included_path", patterns.included_path, _ANY, ("GOTINC",)),
    Rule("string", expression('"'), '"', ("GOTINC",)),
    Rule("punctuation", expression(r"[(),=:]"), "[(),=:]"),
    Rule("not", expression("!+"), "!", _EVERY),
    Rule("newline", expression(_NEWLINE), "[\r\n]", _EVERY),
    Rule("blank", expression(r"[ \t]+"), "[ \t]", _EVERY),
    Rule("continued", expression(rf"\\[ \t]*{_NEWLINE}"), r"\\", _EVERY),
    Rule("comment", expression(_COMMENT), "#", ("INITIAL", "STARTDEFS", "INDEFS")),
    Rule("no_match", expression(r"[^\n]"), r"[^\n]", _EVERY),
)
"""In sudo's order, without the two for regular expressions: see `Tokenizer._longest`."""


def candidates(state: State, character: str, *, line_start: bool) -> tuple[Rule, ...]:
    """Return the rules that can match at a character in a state, in order."""
    return _candidates(state, character if character.isascii() else "\x80", line_start)


@cache
def _candidates(state: State, character: str, line_start: bool) -> tuple[Rule, ...]:
    return tuple(
        rule
        for rule in RULES
        if state in rule.states and (line_start or not rule.at_line_start) and re.match(rule.first, character)
    )
