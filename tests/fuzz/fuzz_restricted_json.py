"""Any bytes as restricted JSON: a value with one encoding, or our error."""

from __future__ import annotations

from evidence import restricted_json
from evidence.errors import EvidenceError


def target(data: bytes) -> None:
    """Decode; what decodes has an encoding that decodes to the same value."""
    try:
        value = restricted_json.decode(data)
    except EvidenceError:
        return
    encoded = restricted_json.encode(value)
    if restricted_json.decode(encoded) != value or restricted_json.encode(value) != encoded:
        raise AssertionError("expected one encoding for each value")
