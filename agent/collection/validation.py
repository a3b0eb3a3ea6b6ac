"""The parent's check of what a child sent: every row once, against its table's header, before it leaves."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import msgspec

from collectors.contract import Field, Gap, Header, Table, header_of

SAFE_INTEGER = 2**53 - 1  # RFC 7493, 2.2
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
VALUELESS = re.compile(r"Expected `|Object missing required field `|JSON is malformed: |Input data was truncated")
PLACE = re.compile(r" - at `(\$[a-z0-9_.]{0,80})`\Z")


class InvalidRowError(Exception):
    """A row that breaks its own header: a defect of ours, which fails the table."""


class Validator:
    """Checks the rows of one collection of one table."""

    def __init__(self, table: Table) -> None:
        self.header: Header = header_of(table)
        self._decode = msgspec.json.Decoder(table.row).decode
        self._encode = msgspec.json.Encoder(order="sorted").encode
        self._key = operator.attrgetter(*table.key)
        self._integers = _getters(self.header.fields, "int")
        self._times = _getters(self.header.fields, "time")
        self._seen: set[Any] = set()

    def check(self, line: bytes) -> None:
        """Raise InvalidRowError unless the line is a canonical row with a new key."""
        try:
            row = self._decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRowError(_without_value(error)) from None
        if self._encode(row) != line:
            raise InvalidRowError("expected canonical JSON, found another form")
        key = self._key(row)
        if key in self._seen:
            raise InvalidRowError(f"expected a new key {', '.join(self.header.key)}, found one that was sent before")
        self._seen.add(key)
        for name, get in self._integers:
            if any(abs(each) > SAFE_INTEGER for each in _values(get(row))):
                raise InvalidRowError(f"{name}: expected an integer within 2^53, found a larger one")
        for name, get in self._times:
            if not all(TIME.fullmatch(each) for each in _values(get(row))):
                raise InvalidRowError(f"{name}: expected a time as RFC 3339 in UTC, found another text")


def check_gap(line: bytes) -> Gap:
    """Return the gap on a line, or raise InvalidRowError."""
    try:
        gap = _decode_gap(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRowError(f"gap: {_without_value(error)}") from None
    if not 1 <= gap.count <= SAFE_INTEGER or not 0 <= (gap.line or 0) <= SAFE_INTEGER:
        raise InvalidRowError("gap: expected a count and a line within 2^53, found another number")
    return gap


_decode_gap = msgspec.json.Decoder(Gap).decode


def _without_value(error: Exception) -> str:
    """Return what a decoder says is wrong, and where, but never the value: the text is signed and kept for ever.

    Most of msgspec's messages name types only; those about a literal or an unknown field quote what they found.
    """
    text = str(error)
    if VALUELESS.match(text):
        return text
    place = PLACE.search(text)
    return "expected a row of its header's types, found another value" + (f" at {place[1]}" if place else "")


def _getters(fields: tuple[Field, ...], kind: str) -> list[tuple[str, Callable[[Any], Any]]]:
    named = (each.name for each in fields if each.type in {kind, f"list of {kind}"})
    return [(name, operator.attrgetter(name)) for name in named]


def _values(value: Any) -> tuple[Any, ...]:
    """Return the values of a field that may be absent, single or a list."""
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)
