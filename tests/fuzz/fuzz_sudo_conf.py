"""Any bytes as sudo.conf and as nsswitch.conf: what sudo would ask, with gaps at lines that exist."""

from __future__ import annotations

import msgspec

from collectors.access.sudoers.sources import DIRECTORIES, FILES, sources_of
from collectors.access.sudoers.sudo_conf import parse_sudo_conf


def target(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    lines = text.count("\n") + 1
    told, gaps = parse_sudo_conf(text)
    msgspec.json.encode(gaps)
    assert all(each.line is None or 1 <= each.line <= lines for each in gaps)
    assert told.paths
    assert all(path.startswith("/") for path in told.paths) or gaps
    line, sources = sources_of(text)
    assert 0 <= line <= lines
    assert sources
    assert {each.name for each in sources} <= {FILES, *DIRECTORIES}
    assert len({each.name for each in sources}) == len(sources)
