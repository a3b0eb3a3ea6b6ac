"""The forms in which settings are written: each says what it expects, and turns TOML's values into the program's."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

SAFE = 2**63
DIGEST = re.compile(r"(?i:[0-9a-f]{2}(:?[0-9a-f]{2}){31})")
QUOTED = 40
"""Characters of a value that a message repeats."""

SPAN = re.compile(r"(0|[1-9][0-9]{0,8})([smhd])")
SPAN_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SIZE = re.compile(r"(0|[1-9][0-9]{0,8})(B|KiB|MiB|GiB|TiB)")
SIZE_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


class FormError(ValueError):
    """A value that is not in its form; the text is what was found, and never quotes what may hold a secret."""


class Form(Protocol):
    """How one setting is written."""

    @property
    def expected(self) -> str:
        """Return what is expected, limits included."""

    def read(self, value: Any) -> Any:
        """Return what the program works with. Raises: FormError."""

    def shown(self, value: Any) -> str:
        """Return the program's value as it is written in TOML."""


def found(value: object, *, quote: bool = True) -> str:
    """Return a value in words; `quote` is False where people may have typed a secret."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) < SAFE:
        return str(value) if quote else "a number"
    if isinstance(value, str):
        return repr(value) if quote and len(value) <= QUOTED else f"text of {len(value)} characters"
    words: dict[type, str] = {
        list: "a list",
        dict: "a table",
        float: "a number with a fraction",
        int: "a number past 2^63",
    }
    times = (dt.date, dt.time)  # a datetime is a date
    return words.get(type(value), "a date or a time" if isinstance(value, times) else type(value).__name__)


class Flag(msgspec.Struct, frozen=True):
    """Either of two."""

    expected: str = "true or false"

    def read(self, value: Any) -> bool:
        """Return it."""
        if not isinstance(value, bool):
            raise FormError(found(value))
        return value

    def shown(self, value: Any) -> str:
        """Return TOML's word."""
        return "true" if value else "false"


class Number(msgspec.Struct, frozen=True):
    """A whole number."""

    least: int
    most: int

    @property
    def expected(self) -> str:
        """Return both limits."""
        return f"a number from {self.least} to {self.most}"

    def read(self, value: Any) -> int:
        """Return it."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            raise FormError(found(value))
        return value

    def shown(self, value: Any) -> str:
        """Return its digits."""
        return str(value)


class Measure(msgspec.Struct, frozen=True):
    """A number with its unit: a span of time in seconds, or a size in bytes."""

    noun: str
    example: str
    pattern: re.Pattern[str]
    units: dict[str, int]
    least: int
    most: int

    @property
    def expected(self) -> str:
        """Return an example and both limits."""
        return f'{self.noun} such as "{self.example}", from {self._text(self.least)} to {self._text(self.most)}'

    def read(self, value: Any) -> int:
        """Return seconds or bytes."""
        match = self.pattern.fullmatch(value) if isinstance(value, str) else None
        number = int(match[1]) * self.units[match[2]] if match else -1
        if not match or not self.least <= number <= self.most:
            raise FormError(found(value))
        return number

    def shown(self, value: Any) -> str:
        """Return it in the largest unit that is exact."""
        return f'"{self._text(value)}"'

    def _text(self, number: int) -> str:
        units = sorted(self.units.items(), key=lambda each: -each[1]) if number else list(self.units.items())[:1]
        name, size = next(each for each in units if number % each[1] == 0)
        return f"{number // size}{name}"


def span(least: int, most: int) -> Measure:
    """Return the form of a span of time, with its limits in seconds."""
    return Measure("a span", "15m", SPAN, SPAN_S, least, most)


def size(least: int, most: int) -> Measure:
    """Return the form of a size, with its limits in bytes."""
    return Measure("a size", "64MiB", SIZE, SIZE_BYTES, least, most)


class Text(msgspec.Struct, frozen=True):
    """Text that passes a check; `secretive` texts are never repeated in a message."""

    expected: str
    check: Callable[[str], bool]
    secretive: bool = False

    def read(self, value: Any) -> str:
        """Return it."""
        if not isinstance(value, str) or not self.check(value):
            raise FormError(found(value, quote=not self.secretive))
        return value

    def shown(self, value: Any) -> str:
        """Return a basic string; only printable text gets here, and TOML escapes two characters of it."""
        return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


class Listed(msgspec.Struct, frozen=True):
    """A list of things of one form, none of them twice."""

    each: Form
    noun: str
    most: int = 1000

    @property
    def expected(self) -> str:
        """Return what each of them is."""
        return f"a list of {self.noun}, each once"

    def read(self, value: Any) -> list[Any]:
        """Return all of them."""
        if not isinstance(value, list) or len(value) > self.most:
            raise FormError(found(value, quote=False))
        read = [self.each.read(each) for each in value]
        twice = next((each for at, each in enumerate(read) if each in read[:at]), None)
        if twice is not None:
            raise FormError("one of them twice")
        return read

    def shown(self, value: Any) -> str:
        """Return a list on one line."""
        return "[" + ", ".join(map(self.each.shown, value)) + "]"


class Fingerprint(msgspec.Struct, frozen=True):
    """A SHA-256, as openssl x509 -fingerprint prints it or without colons."""

    expected: str = "64 hexadecimal digits, with or without colons"

    def read(self, value: Any) -> str:
        """Return the digits in lower case, without colons."""
        if not isinstance(value, str) or not DIGEST.fullmatch(value):
            raise FormError(found(value, quote=False))
        return value.replace(":", "").lower()

    def shown(self, value: Any) -> str:
        """Return the digits."""
        return f'"{value}"'


def fingerprint() -> Fingerprint:
    """Return the form of the SHA-256 of a certificate or key."""
    return Fingerprint()
