"""The patterns of sudo's tokenizer (toke.l, definitions), each as a function that says where a match ends.

Characters are classes of ASCII, as sudo compares bytes in the C locale; what is not ASCII is an ordinary letter.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Matcher = Callable[[str, int], int]
"""Return where a match that begins at a place of the text ends, or -1."""


def expression(text: str) -> Matcher:
    """Return the matcher of one regular expression, which must prefer the longest match, as flex does."""
    compiled = re.compile(text)

    def match(text: str, at: int) -> int:
        found = compiled.match(text, at)
        return found.end() if found else -1

    return match


def run(plain: str, escape: str, *, start: str = "") -> Matcher:
    """Return the matcher of a run, not empty, of plain characters and escapes, after an optional start.

    A loop, because a repeated choice in `re` keeps a frame for each character that it has passed.
    """
    step = re.compile(f"[{plain}]+|{escape}")

    def match(text: str, at: int) -> int:
        if not text.startswith(start, at):
            return -1
        begin = end = at + len(start)
        while found := step.match(text, end):
            end = found.end()
        return end if end > begin else -1

    return match


def longest(*matchers: Matcher) -> Matcher:
    """Return the matcher that takes the longest of several matches."""
    return lambda text, at: max(each(text, at) for each in matchers)


WORD = run(r'^#>!=:,() \t\r\n\\"', r"\\[^\t\n]")
ID = expression(r"#-?[0-9]+")
PATH = run(r"^,:=\\ \t\r\n#", r"\\[,:= \t#]", start="/")
_SETTING = run(r'^#=, \t\r\n\\"', r"\\[^\r\n]")
STRING_BODY = run(r'^"\r\n\\', r"\\\"")

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_HEX16 = r"[0-9A-Fa-f]{1,4}"
_IPV6 = rf"(?:(?:(?:{_HEX16})?:){{2,6}}:{_IPV4}|(?:(?:{_HEX16})?:){{2,7}}(?:{_HEX16})?)"
_IPV4_FORMS = longest(
    expression(rf"{_IPV4}(?:/{_IPV4})?"),
    expression(rf"{_IPV4}/(?:3[0-2]|[12][0-9]|[0-9])"),
)
_IPV6_FORMS = longest(
    expression(rf"(?:(?:{_HEX16})?:){{2,7}}(?:{_HEX16})?"),
    expression(rf"{_IPV6}(?:/{_IPV6})?"),
    expression(rf"{_IPV6}/(?:12[0-8]|1[01][0-9]|[1-9][0-9]|[0-9])"),
)
_IPV6_BEGIN = re.compile(rf"(?:{_HEX16})?:(?:{_HEX16})?:")


def ipv4(text: str, at: int) -> int:
    """Match an IPv4 address with an optional mask or prefix length."""
    return _IPV4_FORMS(text, at)


def ipv6(text: str, at: int) -> int:
    """Match an IPv6 address with an optional mask or prefix length; most words fail its first look."""
    return _IPV6_FORMS(text, at) if _IPV6_BEGIN.match(text, at) else -1


def group(text: str, at: int) -> int:
    """Match %name, %#gid, %:name and %:#gid."""
    if not text.startswith("%", at):
        return -1
    name = at + 1 + text.startswith(":", at + 1)
    return max(WORD(text, name), ID(text, name))


def setting(text: str, at: int) -> int:
    """Match the value of a setting (ENVAR): `!` is refused at its start only."""
    return -1 if text.startswith("!", at) else _SETTING(text, at)


def netgroup(text: str, at: int) -> int:
    """Match +name."""
    return WORD(text, at + 1) if text.startswith("+", at) else -1


_NOT_SPACE = re.compile(r"[^ \t\r\n\v\f]*")


def included_path(text: str, at: int) -> int:
    r"""Match the path after @include: no white space but what a backslash precedes, no quote at the start."""
    if text.startswith(('"', " ", "\t", "\r", "\n", "\v", "\f"), at):
        return -1
    end = _end(_NOT_SPACE, text, at)
    while end > at + 1 and text[end - 1] == "\\" and text.startswith((" ", "\t"), end):
        end = _end(_NOT_SPACE, text, end + 1)
    return end


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


_REGEX_STOP = re.compile(r"[#$\r\n]")


def regex(text: str, at: int) -> tuple[int, int]:
    r"""Return (where ^…$ ends, or -1; up to where no further one can end).

    The longest match ends at the last `$` before a `#`, `$` or line end without a backslash. The second
    number lets a caller that fails here not look again from each `^` on the way.
    """
    end, seen = -1, at + 1
    while stop := _REGEX_STOP.search(text, seen):
        seen = stop.end()
        if stop.group() == "$":
            end = seen
        escaped = text[stop.start() - 1] == "\\" and stop.start() - 1 > at
        if not escaped or stop.group() in "\r\n":
            break
    else:
        seen = len(text)
    return end, seen
