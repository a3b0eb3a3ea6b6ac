"""Any bytes as passwd, shadow and group: rows that can be written, one for each key, and no hash in any of them."""

from __future__ import annotations

import os
import tempfile

import msgspec

from collectors.access import groups, password_status, users
from collectors.contract import Gap
from collectors.reading.host import Host

FILES = ("passwd", "shadow", "group")
TABLES = (users.TABLE, password_status.TABLE, groups.TABLE)
SHORTEST = 13
"""Letters of the shortest hash, that of DES."""


def target(data: bytes) -> None:
    parts = data.split(b"\xff")
    texts = {name: parts[at % len(parts)] for at, name in enumerate(FILES)}  # mostly one text as all three
    with tempfile.TemporaryDirectory() as root:
        os.mkdir(f"{root}/etc")
        for name, content in texts.items():
            with open(f"{root}/etc/{name}", "wb") as file:
                file.write(content)
        host = Host(root, secret=b"fuzz")
        shown = b""
        for table in TABLES:
            keys = set()
            for each in table.collect(host):
                line = msgspec.json.encode(each)
                shown += line + b"\n"
                if not isinstance(each, Gap):
                    assert msgspec.json.decode(line, type=table.row) == each
                    key = tuple(getattr(each, name) for name in table.key)
                    assert key not in keys, key
                    keys.add(key)
    for field in _passwords(texts["shadow"]):
        assert data.count(field) > 1 or field not in shown


def _passwords(shadow: bytes) -> list[bytes]:
    """Return the second field of each line that has one long enough to be a hash."""
    fields = [line.split(b":", 2) for line in shadow.split(b"\n")]
    return [each[1] for each in fields if len(each) > 2 and len(each[1]) >= SHORTEST]
