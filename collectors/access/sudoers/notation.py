"""Names and commands as text that says what kind each is: the notation of sudoers(5), quoted where it must be."""

from __future__ import annotations

from functools import lru_cache

from collectors.access.sudoers.model import Member
from collectors.access.sudoers.tokenizer import Tokenizer

_KINDS = {"word": "word", "group": "group", "netgroup": "netgroup"}


def shown_member(member: Member) -> str:
    """Return ALL, an ALIAS, bob, #500, %wheel, %#10, %:group, +netgroup or an address; `!` before it if negated.

    A name that would be read as something else without quotes (`ALL`, two words) has them.
    """
    return ("!" if member.negated else "") + _shown(member.kind, member.name)


@lru_cache(maxsize=4096)
def _shown(kind: str, name: str) -> str:
    if kind not in _KINDS or _reads_as(kind, name):
        return name
    return '"' + name.replace('"', '\\"') + '"'


def _reads_as(kind: str, name: str) -> bool:
    """Return whether sudo would read the name, without quotes, as one token of this kind and no other."""
    tokens = Tokenizer(f"={name}")  # not at the start of a line, where Defaults means something else
    tokens.next()
    token = tokens.next()
    return (token.kind, token.text, tokens.next().kind) == (kind, name, "newline")
