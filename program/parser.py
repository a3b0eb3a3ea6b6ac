"""The parser of a command line: what is wrong with it is one line, in the words that all our errors have.

argparse says what it found in a text only, and shows the usage before it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import NoReturn

from program.errors import WRONG_USE
from program.text import printable

LIMIT = 500
"""Characters of what was expected and found: an option may be of any length."""

_WORDS = tuple(
    (re.compile(pattern, re.DOTALL), words)
    for pattern, words in (
        (r"unrecognized arguments: (?P<found>.*)", "expected what its help names, found {found}"),
        (r"the following arguments are required: (?P<what>.*)", "expected {what}, found none"),
        (r"argument (?P<one>\S+): not allowed with argument (?P<two>\S+)", "expected {two} or {one}, found both"),
        (r"argument (?P<what>\S+): expected [a-z0-9 ]*arguments?", "{what}: expected a value, found none"),
        (r"argument (?P<what>\S+): ignored explicit argument (?P<it>.*)", "{what}: expected no value, found {it}"),
        (r"argument (?P<what>\S+): invalid int value: (?P<found>.*)", "{what}: expected a whole number, found {found}"),
        (r"argument (?P<what>\S+): (?P<rest>.*)", "{what}: {rest}"),  # of a type of our own: in these words already
    )
)
_CHOICE = re.compile(r"argument (\S+): invalid choice: (.*) \(choose from (.*)\)", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the options it is given, and what explains them."""

    def error(self, message: str) -> NoReturn:
        """Leave with the exit code of wrong use."""
        text = _choice(message) or _worded(message) + self._meant(message)
        self.exit(WRONG_USE, f"{self.prog}: {printable(text, LIMIT)}; see: {self.prog} --help\n")

    def _meant(self, message: str) -> str:
        """Return which option may have been meant, if one was that there is not."""
        found = message.removeprefix("unrecognized arguments: ").split(" ")[0].partition("=")[0]
        known = [each[2:] for each in self._option_string_actions if each.startswith("--")]
        return _near(found[2:], known, "--") if found.startswith("--") else ""


def _worded(message: str) -> str:
    for pattern, words in _WORDS:
        match = pattern.fullmatch(message)
        if match is not None:
            return words.format(**match.groupdict())
    return message


def _choice(message: str) -> str | None:
    match = _CHOICE.fullmatch(message)
    if match is None:
        return None
    what, found, choices = match[1], match[2], match[3].replace("'", "")  # Python 3.14 has no quotes there
    return f"{what}: expected one of {choices}, found {found}" + _near(found.strip("'"), choices.split(", "))


def _near(found: str, known: Sequence[str], prefix: str = "") -> str:
    import difflib  # noqa: PLC0415  takes milliseconds, and few need it

    near = difflib.get_close_matches(found[:LIMIT], known, n=1)
    return f"; did you mean {prefix}{near[0]}" if near else ""
