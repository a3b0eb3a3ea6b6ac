r"""Backslashes in sudoers: what a name, a command and a string mean once they are taken away.

Bytes that are not UTF-8 are surrogate escapes, as `os.fsdecode` gives them.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([\s\S]))")
_ESCAPE_IN_COMMAND = re.compile(r"\\([,:= \t#])")


def unescaped(text: str) -> str:
    r"""Return a word without its backslashes; `\xHH` is the byte HH, and a NUL ends the word, as in C."""
    if "\\" not in text:
        return text
    plain, _, _ = _ESCAPE.sub(_character, text).partition("\0")
    return plain.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _character(found: re.Match[str]) -> str:
    if found[1] is None:
        return found[2]
    value = int(found[1], 16)
    return chr(value) if value < 0x80 else chr(0xDC00 + value)  # noqa: PLR2004  a byte that is not ASCII


def command_path(text: str) -> str:
    """Return a command's path without the backslashes before what is special in sudoers; a regex is untouched.

    A path that ends in /sudoedit is the built-in command, whatever folder it names.
    """
    if text.startswith("^"):
        return text
    plain = _ESCAPE_IN_COMMAND.sub(r"\1", text) if "\\" in text else text
    return "sudoedit" if plain.endswith("/sudoedit") else plain
