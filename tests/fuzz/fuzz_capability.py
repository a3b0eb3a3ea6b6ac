"""Fuzz the security.capability attribute: any bytes give sets with a text, or a MalformedError."""

from __future__ import annotations

from collectors.contract import MalformedError
from collectors.filesystem.capability import parse_capability


def target(data: bytes) -> None:
    """Raise only on a defect."""
    try:
        found = parse_capability(data)
    except MalformedError:
        return
    text = found.text()
    if not text or "," in (text[0], text[-1]) or "  " in text:
        raise AssertionError(text)
