"""What `sshd -T` prints: one effective value a line, keyword first; sshd(8), extended test mode."""

from __future__ import annotations

import re

from collectors.contract import MalformedError

_LINE = re.compile(r"([a-z][a-z0-9]*)(?: (.*))?", re.ASCII | re.DOTALL)


def parse_effective(output: bytes) -> dict[str, tuple[str, ...]]:
    """Return the values of each setting, in the order printed; several lines of one name are several values.

    Raises: MalformedError if a line does not begin with a keyword, or there is none.
    """
    values: dict[str, tuple[str, ...]] = {}
    for line in output.decode("utf-8", "surrogateescape").split("\n"):
        if not line:
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise MalformedError("a keyword and its value on each line", "another line")
        values[found.group(1)] = (*values.get(found.group(1), ()), found.group(2) or "")
    if not values:
        raise MalformedError("settings", "no output")
    return values
