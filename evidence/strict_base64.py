"""Base64 that has one text for each value: standard alphabet, full padding, no stray bits (RFC 4648, 3.5)."""

from __future__ import annotations

import base64
import binascii

from evidence.errors import FormatError


def encode(data: bytes) -> str:
    """Return the text of some bytes."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str, where: str) -> bytes:
    """Return the bytes of a text; another text of the same bytes is refused.

    Raises: FormatError, which never quotes the text: it may be a private key.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError(where, "base64", "text that is not") from None
    if encode(data) != text:
        raise FormatError(where, "base64 in its one form", "stray bits or padding")
    return data
