"""Headers of a request: each once, in the one form the protocol gives, or the request is refused."""

from __future__ import annotations

import re

from starlette.requests import Request

from evidence import strict_base64
from evidence.errors import FormatError
from hub.problem import Problem

_NUMBER = re.compile(r"(0|[1-9][0-9]{0,14})\Z")
_BATCH = re.compile(r"([0-9a-f]{16}-[1-9][0-9]{0,14})-([0-9]{12})-([0-9]{12})\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_BEARER = re.compile(r"[Bb]earer ([!-~]{16,512})\Z")
_CHECKPOINT_LIMIT = 4096
_FLAGS = {"?0": False, "?1": True}


def one(request: Request, name: str) -> str:
    """Return the value of a header that stands there once. Raises: Problem 400."""
    values = request.headers.getlist(name)
    if len(values) != 1:
        raise Problem("malformed", f"{name}: expected it once, found it {len(values)} times")
    return values[0].strip()


def number(request: Request, name: str) -> int:
    """Return a header's number. Raises: Problem 400."""
    value = one(request, name)
    if not _NUMBER.match(value):
        raise Problem("malformed", f"{name}: expected a decimal number, found another text")
    return int(value)


def flag(request: Request, name: str) -> bool:
    """Return a header's truth, a boolean of structured fields (RFC 9651). Raises: Problem 400."""
    value = one(request, name)
    if value not in _FLAGS:
        raise Problem("malformed", f"{name}: expected ?0 or ?1, found another text")
    return _FLAGS[value]


def batch(request: Request) -> tuple[str, int, int]:
    """Return log id, first entry and size in `Evidenced-Batch`. Raises: Problem 400."""
    found = _BATCH.match(one(request, "Evidenced-Batch"))
    if found is None or int(found[2]) >= int(found[3]):
        raise Problem(
            "malformed", "Evidenced-Batch: expected LOGID-FIRST-SIZE with at least one entry, found another text"
        )
    return found[1], int(found[2]), int(found[3])


def digest(request: Request) -> str:
    """Return `Evidenced-Digest`. Raises: Problem 400."""
    value = one(request, "Evidenced-Digest")
    if not _DIGEST.match(value):
        raise Problem("malformed", "Evidenced-Digest: expected 64 hex digits, found another text")
    return value


def checkpoint(request: Request) -> bytes:
    """Return the note in `Evidenced-Checkpoint`. Raises: Problem 400."""
    value = one(request, "Evidenced-Checkpoint")
    if len(value) > _CHECKPOINT_LIMIT:
        raise Problem("malformed", f"Evidenced-Checkpoint: expected at most {_CHECKPOINT_LIMIT} characters, found more")
    try:
        return strict_base64.decode(value, "Evidenced-Checkpoint")
    except FormatError as error:
        raise Problem("malformed", f"{error}") from None


def token(request: Request) -> str:
    """Return the bearer token. Raises: Problem 401."""
    values = request.headers.getlist("Authorization")
    found = _BEARER.match(values[0].strip()) if len(values) == 1 else None
    if found is None:
        raise Problem("token", "expected Authorization: Bearer TOKEN", headers={"WWW-Authenticate": "Bearer"})
    return found[1]


def media_type(request: Request, expected: str) -> None:
    """Check the type of a body. Raises: Problem 415."""
    found = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if found != expected:
        raise Problem("media", f"Content-Type: expected {expected}, found another or none")
