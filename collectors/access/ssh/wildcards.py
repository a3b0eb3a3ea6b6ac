"""A word of bytes against a pattern with stars: what OpenSSH's match_pattern(match.c) and its glob have in common."""

from __future__ import annotations

from collections.abc import Sequence

Token = frozenset[int] | None
"""The bytes that may stand at one place; None is a star."""

ANY = frozenset(range(256))
WILDCARDS: dict[int, Token] = {ord("*"): None, ord("?"): ANY}


def fits(tokens: Sequence[Token], raw: bytes) -> bool:
    """Return whether a whole word fits; time is at most the product of both lengths."""
    at = place = 0
    star, mark = -1, 0
    while place < len(raw):
        token = tokens[at] if at < len(tokens) else frozenset[int]()
        if token is None:
            star, mark = at, place
            at += 1
        elif raw[place] in token:
            at += 1
            place += 1
        elif star >= 0:  # let the last star take one byte more
            at, mark = star + 1, mark + 1
            place = mark
        else:
            return False
    return all(each is None for each in tokens[at:])
