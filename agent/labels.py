"""Labels of a host as people type them, KEY=VALUE; they stand in every signed statement, which has a limit."""

from __future__ import annotations

import re
from collections.abc import Sequence

from program.errors import WRONG_USE, CommandError

COUNT = 64
KEY = re.compile(r"[a-z0-9_.:-]{1,64}")
VALUE_LIMIT = 200
"""Characters."""
TOTAL_LIMIT = 16 << 10
"""Bytes of all labels: a quarter of a statement, in which the tables need their place too."""

ECHOED = 40
"""Characters of what was typed that an error repeats."""


def parse_labels(texts: Sequence[str]) -> dict[str, str]:
    """Return labels by key. Raises: CommandError that says which of the rules one breaks."""
    if len(texts) > COUNT:
        raise _wrong(f"at most {COUNT} labels", str(len(texts)))
    labels: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise _wrong("KEY=VALUE", f"no = in {_short(text)}")
        if not KEY.fullmatch(key):
            raise _wrong("a key of 1 to 64 characters of a-z 0-9 _ . : -", _short(key))
        if key in labels:
            raise _wrong("each key once", f"{key} again")
        if not 1 <= len(value) <= VALUE_LIMIT:
            raise _wrong(f"a value of 1 to {VALUE_LIMIT} characters for {key}", str(len(value)))
        if not value.isprintable():
            raise _wrong(f"plain text for {key}", _short(value))
        labels[key] = value
    size = sum(len(each.encode()) for pair in labels.items() for each in pair)
    if size > TOTAL_LIMIT:
        raise _wrong(f"at most {TOTAL_LIMIT} bytes of labels", str(size))
    return labels


def _short(text: str) -> str:
    return repr(text if len(text) <= ECHOED else text[:ECHOED] + "…")


def _wrong(expected: str, found: str) -> CommandError:
    return CommandError(f"--label: expected {expected}, found {found}", WRONG_USE)
