"""The JSON of statements, envelopes and manifests: few shapes, one encoding, nothing ambiguous.

docs/formats.md, section 1. Python's own decoder, left alone, lets the last of two equal keys win, reads NaN,
turns 1e400 into inf, guesses UTF-16, passes lone surrogates and recurses until it breaks: all errors here.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import msgspec

from evidence.errors import FormatError, LimitError

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1
KEY = re.compile(r"[a-z0-9_.:-]{1,64}\Z")
FOREIGN_KEYS = frozenset({"predicateType", "payloadType"})
"""Keys that in-toto and DSSE spell in their own way; `_type` fits the pattern."""

# A string that never ends is matched up to the end of the text, so that the scan stays linear.
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)


def encode(value: Any) -> bytes:
    """Return a value (builtin types or a Struct) in its one encoding: sorted keys, no white space.

    Raises: FormatError on a float, a large integer, a key outside the pattern or a lone surrogate; LimitError
    when it is nested too deeply. Each of these is a defect of the producer.
    """
    plain = msgspec.to_builtins(value)
    _check(plain, MAX_DEPTH)
    return msgspec.json.encode(plain, order="sorted")


def decode(data: bytes, *, where: str = "json", limit: int = MAX_BYTES, depth: int = MAX_DEPTH) -> Any:
    """Return the value of one JSON text; white space between tokens is accepted.

    Raises: LimitError past `limit` bytes or `depth` nested containers, both before anything is parsed;
    FormatError on everything else that section 1 excludes.
    """
    if len(data) > limit:
        raise LimitError(where, f"at most {limit} bytes", f"{len(data)}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(where, "UTF-8", f"a byte that is not at offset {error.start}") from None
    _check_depth(text, where, depth)
    reading = _Reading(where)
    try:
        value = json.loads(
            text,
            object_pairs_hook=reading.object,
            parse_int=reading.integer,
            parse_float=reading.no_float,
            parse_constant=reading.no_float,
        )
    except json.JSONDecodeError as error:
        raise FormatError(where, "JSON", f"a syntax error at character {error.pos}") from None
    _check_surrogates(value, where)
    return value


def _check_depth(text: str, where: str, depth: int) -> None:
    level = 0
    for match in _TOKENS.finditer(text):
        mark = match.group()[0]
        level += 1 if mark in "[{" else -1 if mark in "]}" else 0
        if level > depth:
            raise LimitError(where, f"at most {depth} nested containers", f"more at character {match.start()}")


def _check_surrogates(value: Any, where: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise FormatError(where, "Unicode text", "half of a surrogate pair") from None


class _Reading:
    """The hooks of one decoding; they carry its place into the errors."""

    def __init__(self, where: str) -> None:
        self.where = where

    def object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            raise FormatError(self.where, "each key once", "a key that stands twice")
        for key in value:
            _check_key(key, self.where)
        return value

    def integer(self, digits: str) -> int:
        # The length first: int() of a long text is slow, and refused by newer Pythons.
        if len(digits) > len(str(-MAX_INTEGER)) or digits == "-0" or abs(int(digits)) > MAX_INTEGER:
            raise FormatError(self.where, "an integer within 2^53-1 of zero", "another number")
        return int(digits)

    def no_float(self, _text: str) -> NoReturn:
        raise FormatError(self.where, "integers only", "a fraction, an exponent, NaN or Infinity")


def _check_key(key: object, where: str) -> None:
    if not isinstance(key, str) or not (KEY.match(key) or key in FOREIGN_KEYS):
        raise FormatError(where, "keys of a-z, 0-9 and _ . : -, at most 64 long", "another key")


def _check(value: Any, depth: int) -> None:
    """Refuse what `decode` would refuse, before it is written."""
    where = "json to write"
    if isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, (dict, list, tuple)):
        if not depth:
            raise LimitError(where, f"at most {MAX_DEPTH} nested containers", "more")
        if isinstance(value, dict):
            for key in value:
                _check_key(key, where)
            value = list(value.values())
        for each in value:
            _check(each, depth - 1)
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise FormatError(where, "an integer within 2^53-1 of zero", "a larger one")
    elif value is not None:
        raise FormatError(where, "text, integers, booleans, null, lists and objects", type(value).__name__)


def _check_text(value: str, where: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise FormatError(where, "Unicode text", "half of a surrogate pair") from None
