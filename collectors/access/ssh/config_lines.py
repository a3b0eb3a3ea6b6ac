"""One line of sshd_config(5): its keyword and arguments, split as OpenSSH 10 splits them."""

from __future__ import annotations

import re

import msgspec

from collectors.contract import MalformedError

BLANKS = " \t"
WHITE = " \t\r\n"

_DELIMITER = re.compile(r'[ \t\r\n"=]')
_KEYWORD = re.compile(r"[a-z][a-z0-9]*", re.ASCII)
_QUOTES = frozenset("\"'")
_ESCAPED = frozenset("\"'\\")

# The rest of the line is the value, a `#` in it included.
_WHOLE_LINE = frozenset({"forcecommand", "authorizedkeyscommand", "authorizedprincipalscommand"})


class ConfigLine(msgspec.Struct, frozen=True):
    """One directive as written. The keyword is in lower case; there is at least one argument."""

    keyword: str
    arguments: tuple[str, ...]


def parse_config_line(text: str) -> ConfigLine | None:
    """Return the directive on one line, or None for an empty line or a comment.

    Raises: MalformedError on a keyword that can be none or has no argument, and on quotes that are not closed.
    """
    text = text.lstrip(" \t\r").rstrip(WHITE + "\f")
    keyword, rest = _keyword(text)
    if not keyword:  # a line may begin with one delimiter
        keyword, rest = _keyword(rest)
    if not keyword or keyword.startswith("#"):
        return None
    keyword = keyword.lower()
    if not _KEYWORD.fullmatch(keyword):
        raise MalformedError("a keyword of letters and digits", "something else")
    arguments = _whole(keyword, rest) if keyword in _WHOLE_LINE or keyword == "versionaddendum" else split(rest)
    if not arguments:
        raise MalformedError("an argument after a keyword", "none")
    return ConfigLine(keyword, arguments)


def split(text: str) -> tuple[str, ...]:
    """Return the arguments of a line, up to a comment; quotes and backslashes are taken out.

    Source: argv_split in OpenSSH's misc.c: a backslash escapes a quote, a backslash, and outside quotes a blank.
    """
    words: list[str] = []
    at = 0
    while at < len(text):
        if text[at] in BLANKS:
            at += 1
            continue
        if text[at] == "#":
            break
        word, at = _word(text, at)
        words.append(word)
    return tuple(words)


def _word(text: str, at: int) -> tuple[str, int]:
    letters: list[str] = []
    quote = ""
    while at < len(text) and (quote or text[at] not in BLANKS):
        letter, following = text[at], text[at + 1 : at + 2]
        if letter == "\\" and (following in _ESCAPED or (following == " " and not quote)):
            letters.append(following)
            at += 1
        elif letter == quote:
            quote = ""
        elif not quote and letter in _QUOTES:
            quote = letter
        else:
            letters.append(letter)
        at += 1
    if quote:
        raise MalformedError("a closing quote", "the end of the line")
    return "".join(letters), at


def _keyword(text: str) -> tuple[str, str]:
    """Return the first word and what follows it; blanks, one `=` or quotes end the word (strdelim in misc.c)."""
    found = _DELIMITER.search(text)
    if found is None:
        return text, ""
    if found.group() == '"':
        end = text.find('"', found.end())
        if end < 0:
            raise MalformedError("a closing quote", "the end of the line")
        return text[: found.start()] + text[found.end() : end], text[end + 1 :].lstrip(WHITE)
    rest = text[found.end() :].lstrip(WHITE)
    if found.group() != "=" and rest.startswith("="):
        rest = rest[1:].lstrip(WHITE)
    return text[: found.start()], rest


def _whole(keyword: str, rest: str) -> tuple[str, ...]:
    if keyword == "versionaddendum":
        rest = rest.split("#", 1)[0].rstrip()
    return (rest,) if rest else ()
