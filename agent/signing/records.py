"""What people and jobs may have signed: `evidenced record` and `evidenced wrap` (docs/formats.md, section 3).

What an auditor counts stands in the statement: names of few characters, numbers, times, digests. What people write
freely goes into the details, a blob of its own, so that it can be pruned.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from evidence.errors import FormatError

AHEAD = dt.timedelta(minutes=5)
"""How far a clock elsewhere may go before ours."""
JOB = "job"
TEXT_LIMIT = 1000
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,15}")
_SAFE = 2**53 - 1  # RFC 7493, 2.2


class Form(msgspec.Struct, frozen=True):
    """What one field may hold; `free` text goes into the details."""

    expected: str
    parse: Callable[[str], int | str | None]
    free: bool = False


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda text: text if pattern.fullmatch(text) else None


def _number(text: str) -> int | None:
    return int(text) if _DECIMAL.fullmatch(text) and int(text) <= _SAFE else None


def _moment(text: str) -> str | None:
    return text if moment(text) is not None else None


def _free(text: str) -> str | None:
    return text if 1 <= len(text) <= TEXT_LIMIT and text.isprintable() else None


def _one_of(*words: str) -> Form:
    return Form(" or ".join(words), lambda text: text if text in words else None)


IDENTIFIER = Form("1 to 64 characters of A-Z a-z 0-9 _ . : -", _matching(_IDENTIFIER))
NUMBER = Form("a decimal number below 2^53", _number)
DIGEST = Form("64 hex digits in lower case", _matching(_DIGEST))
TIME = Form("a time in UTC such as 2026-01-31T07:00:00Z", _moment)
FREE = Form(f"1 to {TEXT_LIMIT} printable characters", _free, free=True)
RESULT = _one_of("ok", "failed")


class RecordKind(msgspec.Struct, frozen=True):
    """One kind of record: what it is for, and its fields."""

    meaning: str
    required: Mapping[str, Form]
    optional: Mapping[str, Form]


_COUNTS = {"bytes": NUMBER, "duration_s": NUMBER, "files": NUMBER}
RECORDS = {
    "acknowledgement": RecordKind(
        "somebody knows of a finding", {"finding": IDENTIFIER, "reason": FREE}, {"by": FREE, "until": TIME}
    ),
    "backup-run": RecordKind("a backup ran", {"job": IDENTIFIER, "result": RESULT}, {**_COUNTS, "target": FREE}),
    "baseline-approved": RecordKind(
        "a state of this host was approved", {"baseline": DIGEST, "by": FREE}, {"ticket": FREE}
    ),
    "change-window": RecordKind("changes are announced", {"from": TIME, "until": TIME}, {"by": FREE, "ticket": FREE}),
    JOB: RecordKind(
        "a wrapped command ended",
        {"name": IDENTIFIER, "started": TIME, "ended": TIME, "duration_ms": NUMBER},
        {"exit": NUMBER, "signal": NUMBER, "command": DIGEST},
    ),
    "restore-test": RecordKind(
        "a backup was restored to try it", {"job": IDENTIFIER, "result": RESULT}, {**_COUNTS, "source": FREE}
    ),
}


def moment(text: str) -> dt.datetime | None:
    """Return the time of `2026-01-31T07:00:00Z`, None if there is no such time."""
    try:
        return dt.datetime.fromisoformat(text[:-1] + "+00:00") if _TIME.fullmatch(text) and text.isascii() else None
    except ValueError:
        return None


def checked(
    kind: str, fields: Mapping[str, str], at: str | None, now: dt.datetime | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the statement says and what the details say of a record. Raises: FormatError."""
    known = RECORDS.get(kind)
    if known is None:
        raise FormatError("record", f"one of {', '.join(sorted(RECORDS))}", "another kind")
    forms = {**known.required, **known.optional}
    stated: dict[str, Any] = {}
    free: dict[str, Any] = {}
    for name, text in sorted(fields.items()):
        if name not in forms:
            raise FormatError(kind, f"fields {', '.join(sorted(forms))}", "another")
        value = forms[name].parse(text)
        if value is None:
            raise FormatError(f"{kind}: {name}", forms[name].expected, "another text")
        (free if forms[name].free else stated)[name] = value
    missing = sorted(known.required.keys() - fields.keys())
    if missing:
        raise FormatError(kind, f"field {missing[0]}", "none", "see evidenced record --help")
    _check_times(kind, stated, at, now or dt.datetime.now(dt.timezone.utc))
    absent = {name: None for name, form in forms.items() if not form.free}
    return {**absent, **stated, "at": at}, free


def _check_times(kind: str, stated: Mapping[str, Any], at: str | None, now: dt.datetime) -> None:
    when = None if at is None else moment(at)
    if at is not None and (when is None or when > now + AHEAD):
        raise FormatError(f"{kind}: at", f"{TIME.expected} that has come", "another")
    for first, last in (("from", "until"), ("started", "ended")):
        if first in stated and last in stated and stated[first] > stated[last]:
            raise FormatError(f"{kind}: {last}", f"a time behind {first}", "one before it")
    if kind == JOB and ("exit" in stated) == ("signal" in stated):
        raise FormatError(kind, "an exit code or a signal", "both, or neither")
