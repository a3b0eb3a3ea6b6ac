"""Patterns of paths as OpenSSH reads them on Linux, where it brings a glob(3) of its own.

Source: openbsd-compat/glob.c, called without flags: `*`, `?`, sets of bytes with classes, of which `!` alone negates
one; a backslash takes the meaning of any letter; no braces, no tilde.
"""

from __future__ import annotations

import os
import string
from collections.abc import Iterator

import msgspec

from collectors.access.ssh.wildcards import ANY, WILDCARDS, Token, fits
from collectors.contract import MalformedError

WILD = frozenset("*?[\\")
PATH_MAX = 4096
"""Bytes of a path with its NUL; glob gives nothing for a pattern that is longer."""

_CLASSES = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "blank": " \t",
    "cntrl": "".join(map(chr, (*range(32), 127))),
    "digit": string.digits,
    "graph": string.ascii_letters + string.digits + string.punctuation,
    "lower": string.ascii_lowercase,
    "print": string.ascii_letters + string.digits + string.punctuation + " ",
    "punct": string.punctuation,
    "space": string.whitespace,
    "upper": string.ascii_uppercase,
    "xdigit": string.hexdigits,
}


class Part(msgspec.Struct, frozen=True):
    """What stands between two slashes of a pattern."""

    text: str | None
    """The only name that fits, if there is no wildcard."""
    tokens: tuple[Token, ...] = ()
    hidden: bool = False
    """It begins with a dot, and so fits names that do."""

    def fits(self, name: str) -> bool:
        """Return whether a name of a folder fits."""
        raw = os.fsencode(name)
        return (self.hidden or raw[:1] != b".") and fits(self.tokens, raw)


def parts_of(pattern: str) -> tuple[Part, ...] | None:
    """Return the parts of a pattern, one for each slash and one more; None if it fits nothing by its form or length.

    Raises: MalformedError where OpenSSH reads past the end of the pattern, or takes a set across a slash.
    """
    raw = os.fsencode(pattern)
    if len(raw) >= PATH_MAX:
        return None
    letters = list(_letters(raw))
    parts: list[Part] = []
    tokens: list[Token] = []
    at = start = 0
    wild = False
    while at <= len(letters):
        letter = letters[at] if at < len(letters) else _SLASH
        if letter & _BYTE == _SLASH:
            parts.append(_part(letters[start:at], tokens, wild=wild))
            tokens, wild, start = [], False, at + 1
        elif letter == _OPEN and _closes(letters, at):
            found, at = _set_at(letters, at + 1)
            if found is None:
                return None
            tokens.append(found)
            wild = True
            continue
        elif letter in WILDCARDS:
            tokens.append(WILDCARDS[letter])
            wild = True
        else:
            tokens.append(frozenset({letter & _BYTE}))
        at += 1
    return tuple(parts)


_BYTE = 0xFF
_PROTECTED = 0x100
"""Marks a letter after a backslash: it equals no letter with a meaning."""
_SLASH, _OPEN, _CLOSE, _NOT, _RANGE, _COLON = b"/[]!-:"


def _letters(raw: bytes) -> Iterator[int]:
    at = 0
    while at < len(raw):
        if raw[at] == ord("\\"):
            yield raw[at + 1 : at + 2][0] | _PROTECTED if at + 1 < len(raw) else raw[at] | _PROTECTED
            at += 2
        else:
            yield raw[at]
            at += 1


def _part(letters: list[int], tokens: list[Token], *, wild: bool) -> Part:
    if not wild:
        return Part(os.fsdecode(bytes(each & _BYTE for each in letters)))
    return Part(None, tuple(tokens), bool(letters) and letters[0] & _BYTE == ord("."))


def _closes(letters: list[int], at: int) -> bool:
    """Return whether the bracket at a place begins a set: another closes it, but for one right behind."""
    first = at + 1 + (letters[at + 1 : at + 2] == [_NOT])
    return _CLOSE in letters[first + 1 :]


def _set_at(letters: list[int], at: int) -> tuple[frozenset[int] | None, int]:
    """Return the bytes of a set and the place behind it; None for a class that there is not."""
    negated = letters[at] == _NOT
    at += negated
    found: set[int] = set()
    first = True
    while first or _at(letters, at) != _CLOSE:
        first = False
        letter = _inside(letters, at)
        name = _class_at(letters, at)
        if name is not None:
            if name not in _CLASSES:
                return None, at
            found.update(_CLASSES[name].encode())
            at += len(name) + 4
        elif _at(letters, at + 1) == _RANGE and _at(letters, at + 2) != _CLOSE:
            found.update(range(letter, _inside(letters, at + 2) + 1))
            at += 3
        else:
            found.add(letter)
            at += 1
    return ANY - found if negated else frozenset(found), at + 1


def _class_at(letters: list[int], at: int) -> str | None:
    """Return the name of the class that begins at a place; one is taken for it up to the first colon."""
    if letters[at : at + 2] != [_OPEN, _COLON] or _COLON not in letters[at + 2 :]:
        return None
    end = letters.index(_COLON, at + 2)
    if letters[end + 1 : end + 2] != [_CLOSE]:
        return None
    return "".join(chr(each) for each in letters[at + 2 : end])


def _inside(letters: list[int], at: int) -> int:
    byte = _at(letters, at) & _BYTE
    if byte == _SLASH:
        raise MalformedError("a set within one part of a path", "one with a slash")
    return byte


def _at(letters: list[int], at: int) -> int:
    if at >= len(letters):
        raise MalformedError("a closing bracket", "the end of the pattern")
    return letters[at]
