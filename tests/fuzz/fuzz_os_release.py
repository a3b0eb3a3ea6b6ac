"""Any bytes as os-release: variables of one word each, and lines that exist for what is not understood."""

from __future__ import annotations

import msgspec

from collectors.reading.os_release import parse_os_release


def target(data: bytes) -> None:
    text = data.decode("utf-8", "backslashreplace")
    variables, odd = parse_os_release(text)
    msgspec.json.encode(variables)
    assert all(name.isidentifier() and name.isascii() for name in variables)
    assert not any("\0" in value for value in variables.values())
    assert odd == sorted(odd)
    assert all(1 <= line <= text.count("\n") + 1 for line in odd)
